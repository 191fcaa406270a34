"""The command: sync services.yml into the rendered files, or check that they agree."""

import argparse
import sys
from pathlib import Path

from infra.stack.diagnostics import InvalidStackError, StackError, pretty
from infra.stack.loading import Loaded, load
from infra.stack.plan import Plan

DRIFT = 1


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code (0, 1 for drift, or a sysexits code)."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except InvalidStackError as error:
        print(error.pretty() if sys.stderr.isatty() else error, file=sys.stderr)
        count = len(error.diagnostics)
        print(f"herald: {count} mistake{'s'[: count != 1]}; nothing was written", file=sys.stderr)
        return error.exit_code
    except StackError as error:
        print(f"herald: {error}", file=sys.stderr)
        return error.exit_code


def sync(options: argparse.Namespace) -> int:
    """Render everything; write what differs, or with --mode check print a diff."""
    from infra.stack.rendering import render  # noqa: PLC0415  a mistake is told without it
    from infra.stack.writing import diff, write  # noqa: PLC0415

    path: Path = options.file.resolve()
    loaded = load(path)
    _warn(loaded)
    rendered = render(loaded.plan)
    if options.mode == "check":
        difference = diff(path.parent, rendered)
        print(difference, end="")
        if difference:
            print("herald: rendered files differ; run: make sync-services", file=sys.stderr)
        return DRIFT if difference else 0
    _verify(path.parent, loaded.plan, rendered)
    for written in write(path.parent, rendered):
        print(f"herald: wrote {written}")
    return 0


def _verify(root: Path, plan: Plan, rendered: dict[str, str]) -> None:
    """Hold what is about to be written to the plan; what is there already was held to it."""
    from infra.stack.containers import compose_files  # noqa: PLC0415
    from infra.stack.rendering import COMPOSE  # noqa: PLC0415
    from infra.stack.writing import changed  # noqa: PLC0415

    differs = changed(root, rendered)
    files = {COMPOSE.format(name): file for name, file in compose_files(plan).items()}
    wanted = {path: file for path, file in files.items() if path in differs}
    if wanted:
        from infra.stack.verification import verify  # noqa: PLC0415  most runs write nothing

        for path, file in wanted.items():
            verify(path, rendered[path], file)


def _warn(loaded: Loaded) -> None:
    source = loaded.source
    if sys.stderr.isatty() and loaded.warnings:
        print(pretty(source.file, source.lines, loaded.warnings), file=sys.stderr)
        return
    for found in loaded.warnings:
        print(found.render(source.file), file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.stack", description=__doc__)
    parser.add_argument(
        "--file", type=Path, default=Path("services.yml"), help="the declaration (services.yml)"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("sync", help="render services.yml into Compose files and more")
    command.add_argument(
        "--mode",
        choices=["write", "check"],
        default="write",
        help="write what differs (default), or only check: print a diff and exit with 1",
    )
    command.set_defaults(run=sync)
    return parser


if __name__ == "__main__":
    sys.exit(main())
