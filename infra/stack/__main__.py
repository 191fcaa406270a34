"""Work with services.yml: render it, explain it, scaffold what it names, fill in its secrets."""

import argparse
import os
import sys
from pathlib import Path

from infra.places.diagnostics import InputError, InvalidInputError, pretty
from infra.stack.loading import Loaded, load
from infra.usage import Parser

DRIFT = 1


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code (0, 1 for drift, or a sysexits code)."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except InvalidInputError as error:
        print(error.pretty() if sys.stderr.isatty() else error, file=sys.stderr)
        count = len(error.diagnostics)
        print(f"herald: {count} mistake{'s'[: count != 1]}; nothing was written", file=sys.stderr)
        return error.exit_code
    except InputError as error:
        print(f"herald: {error}", file=sys.stderr)
        return error.exit_code


def sync(options: argparse.Namespace) -> int:
    """Render everything; write what differs, print a diff of it, or create what is missing."""
    from infra.places.writing import diff, write  # noqa: PLC0415
    from infra.stack.rendering import render, verify_changes  # noqa: PLC0415  a mistake needs none

    loaded = _load(options, complete=options.mode != "create")
    root = options.file.resolve().parent
    if options.mode == "create":
        from infra.stack.scaffold import create  # noqa: PLC0415

        for created in create(loaded.plan, root):
            print(f"herald: created {created}")
    rendering = render(loaded.plan, root)
    if options.mode == "check":
        difference = diff(root, rendering.texts)
        print(difference, end="")
        if difference:
            print("herald: rendered files differ; run: make sync-services", file=sys.stderr)
        return DRIFT if difference else os.EX_OK
    verify_changes(root, rendering)
    for written in write(root, rendering.texts):
        print(f"herald: wrote {written}")
    return os.EX_OK


def explain(options: argparse.Namespace) -> int:
    """Print every resolved value of one part and where it came from."""
    from infra.stack.pages.explain import explain as explained  # noqa: PLC0415

    loaded = _load(options)
    print(explained(loaded.plan, options.name, loaded.written.get(options.name, frozenset())))
    return os.EX_OK


def secrets(options: argparse.Namespace) -> int:
    """Make the secrets that can be made; name those that somebody has to provide."""
    from infra.stack.compose.secret_folder import fill  # noqa: PLC0415

    loaded = _load(options)
    written, missing = fill(loaded.plan, options.folder)
    for name in written:
        print(f"herald: wrote {options.folder / name}")
    for secret in missing:
        path = options.folder / secret.name
        print(f"herald: {path} is missing: {secret.description}", file=sys.stderr)
        print(f"        put it there with: cat > {path}", file=sys.stderr)
    return os.EX_CONFIG if missing else os.EX_OK


def _load(options: argparse.Namespace, *, complete: bool = False) -> Loaded:
    """Load the declaration and tell its warnings."""
    loaded = load(options.file.resolve(), complete=complete)
    source = loaded.source
    if sys.stderr.isatty() and loaded.warnings:
        print(pretty(source.file, source.lines, loaded.warnings), file=sys.stderr)
        return loaded
    for warning in loaded.warnings:
        print(warning.render(source.file), file=sys.stderr)
    return loaded


def _parser() -> Parser:
    parser = Parser(prog="python -m infra.stack", description=__doc__)
    parser.add_argument(
        "--file", type=Path, default=Path("services.yml"), help="the declaration (services.yml)"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("sync", help="render services.yml into Compose files and more")
    command.add_argument(
        "--mode",
        choices=["write", "check", "create"],
        default="write",
        help="write what differs (default); check: print a diff and exit with 1 where there is "
        "one; create: also scaffold what a newly listed service lacks, never touching a file "
        "that exists",
    )
    command.set_defaults(run=sync)
    command = commands.add_parser("explain", help="show every resolved value of a service")
    command.add_argument("name", metavar="NAME", help="a service or infrastructure")
    command.set_defaults(run=explain)
    command = commands.add_parser("secrets", help="make what secrets can be made, name the others")
    command.add_argument(
        "--folder", type=Path, default=Path("secrets"), help="where they are kept (secrets)"
    )
    command.set_defaults(run=secrets)
    return parser


if __name__ == "__main__":
    sys.exit(main())
