"""`make events`: follow the streams of the development stack, of a server, or of REDIS_URL.

Redis has no port on this machine in the development stack, so what reads runs inside a container,
as Redis' operator; the address, with the operator's password, is the first line of its input.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping

from infra.dev.environment import ROOT

OPTIONS = ("event", "user", "since")
"""Options of the form name=value that the tool has as --name value."""
KNOWN = (*OPTIONS, "json")
"""Those of `make events` here; its line of `make help` names the same."""
WHERE = ("host", "env", "verbose")


def main() -> int:
    """Run the tool with the options that were given; return its exit code."""
    given = dict(word.partition("=")[::2] for word in sys.argv[1:])
    known = (*KNOWN, *WHERE)
    if unknown := [name for name in given if name not in known]:
        print(f"events does not take {unknown[0]!r}; it takes {', '.join(known)}", file=sys.stderr)
        return os.EX_USAGE
    chosen = [word for name in OPTIONS if given.get(name) for word in (f"--{name}", given[name])]
    shown = [*chosen, *(["--json"] if given.get("json") == "1" else [])]
    if given.get("host") or given.get("env"):
        where = [f"{name}={given[name]}" for name in (*OPTIONS, *WHERE) if given.get(name)]
        deploy = (sys.executable, "-m", "deploy", "events", "after={after}")
        return tail([*shown, "--through", *deploy, *where], {"REDIS_URL": ""})
    if os.environ.get("REDIS_URL"):
        return tail(shown, {})
    # They take half a second to import, and an interrupt in it is no error either.
    from infra.dev.compose import COMPOSE  # noqa: PLC0415
    from infra.dev.dead_letters import inside  # noqa: PLC0415
    from infra.stack.compose.operating import TAIL  # noqa: PLC0415

    service, url = inside()
    command = (*COMPOSE, "exec", "-T", service, *TAIL, "--after", "{after}", *chosen)
    return tail([*shown, "--through", *command], {"REDIS_URL": url})


def tail(arguments: list[str], variables: Mapping[str, str]) -> int:
    """Run the tool on this machine, at this terminal; return its exit code."""
    command = (sys.executable, "-m", "shared.tail", *arguments)
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, **variables}) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # the terminal tells the tool as well, which then ends
                continue


if __name__ == "__main__":
    try:
        code = main()
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    raise SystemExit(code)
