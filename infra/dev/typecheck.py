"""`make typecheck`: mypy over the packages of pyproject.toml and every service that there is."""

import os
import subprocess
import sys

from infra.dev.environment import PACKAGES, ROOT


def command() -> tuple[str, ...]:
    """Return the mypy command line: packages given here take the place of configured ones."""
    names = [path.rpartition("/")[2] for path in PACKAGES]
    tools = [path.name for path in (ROOT / "infra", ROOT / "tests", ROOT / "demo", ROOT / "deploy")]
    there = [name for name in tools if (ROOT / name / "__init__.py").is_file()]
    packages = [part for name in (*names, *there) for part in ("--package", name)]
    return (sys.executable, "-m", "mypy", *packages)


def main() -> int:
    """Run mypy; return its exit code."""
    sources = os.pathsep.join(str(ROOT / path / "src") for path in PACKAGES)
    env = {**os.environ, "MYPYPATH": sources}
    return subprocess.run(command(), cwd=ROOT, env=env, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
