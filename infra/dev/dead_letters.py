"""`make dead-letters`: the dead-letter tool on the running development stack, or on REDIS_URL.

Redis has no port on this machine in the development stack, so the tool runs inside the backend's
container, which holds the same package.
"""

import os
import subprocess
import sys

from infra.dev.compose import COMPOSE
from infra.dev.environment import ROOT

MODULE = ("-m", "shared.dead_letters")


def main() -> int:
    """Run the tool with the arguments that were given; return its exit code."""
    arguments = sys.argv[1:]
    if os.environ.get("REDIS_URL"):
        command: tuple[str, ...] = (sys.executable, *MODULE, *arguments)
    else:
        command = (*COMPOSE, "exec", "-T", "backend", "python", *MODULE, *arguments)
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
