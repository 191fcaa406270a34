"""Command line of the generator: `python -m infra.codegen [--mode write|check]`."""

import os
import sys
from pathlib import Path

from infra.codegen.generation import generate
from infra.codegen.specs.documents import SpecError
from infra.places import writing
from infra.usage import Parser

ROOT = Path(__file__).resolve().parents[2]
DESCRIPTION = """
Generate shared.generated (schemas, events) and each service's generated routers from the specs in
shared/spec/ and services/*/spec/. Files that are right already are not touched.
"""
EPILOGUE = """
exit status: 0 everything is as the specs say; 1 --mode check found a difference, printed as a
unified diff; 64 wrong usage; 65 a spec cannot be used, and nothing was written
"""


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Run the command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        generated = generate(root)
    except SpecError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if options.mode == "check":
        difference = writing.diff(root, generated, "a/{}", "b/{}")
        print(difference, end="")
        if difference:
            rule = "generated files differ from the specs; run: make generate-from-spec"
            print(f"herald: {rule}", file=sys.stderr)
        return 1 if difference else os.EX_OK
    for path in writing.write(root, generated):
        print(f"{'removed' if generated[path] is None else 'wrote'} {path}")
    return os.EX_OK


def _parser() -> Parser:
    parser = Parser(prog="python -m infra.codegen", description=DESCRIPTION, epilog=EPILOGUE)
    parser.add_argument(
        "--mode",
        choices=("write", "check"),
        default="write",
        help="write the files that differ, or print how they differ (default: %(default)s)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
