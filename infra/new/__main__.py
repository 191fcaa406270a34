"""`make new`: give a clone of Herald a name of its own, and leave out what it does not want."""

import os
import re
import subprocess
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from infra.new.leaving_out import leave_out
from infra.new.naming import rename
from infra.stack import load_plan
from infra.usage import Parser

ROOT = Path(__file__).resolve().parents[2]
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
RENDERS = (("infra.codegen",), ("infra.stack", "sync"))
"""What is written from the files that change here."""


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Do what the command line says; return 0, 64 where it is wrong, else what failed."""
    options = parse(arguments)
    unwanted = frozenset(options.without)
    fault = fault_of(root, options.name, unwanted)
    if fault:
        print(f"herald: {fault}", file=sys.stderr)
        return os.EX_USAGE
    changed = [*rename(root, options.name), *(leave_out(root, unwanted) if unwanted else ())]
    for path in dict.fromkeys(changed):
        print(f"herald: changed {path}", flush=True)
    for command in RENDERS:
        finished = subprocess.run((sys.executable, "-m", *command), cwd=root, check=False)
        if finished.returncode:
            return finished.returncode
    print("herald: look at it with git diff, then: make demo")
    return os.EX_OK


def parse(arguments: Sequence[str]) -> Namespace:
    """Read the command line."""
    options = Parser(prog="make new", description="Give a clone of Herald a name of its own.")
    options.add_argument("--name", required=True, help="the project's name, such as mybot")
    options.add_argument(
        "--without",
        default="",
        type=lambda text: [name for name in re.split(r"[\s,]+", text) if name],
        help="services that are not wanted, such as backend or telegram_sim",
    )
    return options.parse_args(arguments)


def fault_of(root: Path, name: str, unwanted: frozenset[str]) -> str:
    """Return why this cannot be done, or ''."""
    services = load_plan(root / "services.yml").services
    names = {service.name for service in services}
    if not NAME.fullmatch(name):
        return (
            f"name={name!r} is no name of lower-case letters, digits and underscores that starts "
            "with a letter"
        )
    if unknown := sorted(unwanted - names):
        return f"without={unknown[0]} is no service; there are: {', '.join(sorted(names))}"
    if not {service.name for service in services if service.built} - unwanted:
        return "no service would be left"
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
