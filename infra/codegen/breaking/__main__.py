"""Command line of the comparison: `python -m infra.codegen.breaking [BASE]`."""

import os
import sys
from pathlib import Path

from infra.codegen.breaking.compatibility import compare
from infra.codegen.breaking.revisions import UnknownRevisionError, common_base, file_at
from infra.codegen.breaking.schemas import Specs
from infra.codegen.generation import EVENTS, MODELS
from infra.codegen.specs import events, models
from infra.codegen.specs.documents import Document, SpecError, load, parse
from infra.codegen.specs.validation import asyncapi_faults, schema_faults
from infra.usage import Parser

ROOT = Path(__file__).resolve().parents[3]
DESCRIPTION = """
Compare the events of the working tree with those at a git revision. A change breaks where entries
that are in a stream already are refused, or where a process of the release before can no longer
read what a new one writes.
"""
EPILOGUE = """
exit status: 0 nothing breaks (a note says where readers must be deployed before writers); 1 a
change breaks, one line each with its place; 64 wrong usage, or git does not know the revision; 65 a
spec cannot be read
"""


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Run the command and return its exit status."""
    parser = Parser(
        prog="python -m infra.codegen.breaking", description=DESCRIPTION, epilog=EPILOGUE
    )
    parser.add_argument(
        "base",
        nargs="?",
        default="origin/main",
        help="the revision to compare with; what counts is the commit at which the working tree "
        "left it (default: %(default)s)",
    )
    revision = parser.parse_args(arguments).base
    try:
        commit = common_base(root, revision)
        new = _checked(root)
        old = _at(root, commit)
    except UnknownRevisionError as error:
        print(f"herald: {error}", file=sys.stderr)
        return os.EX_USAGE
    except SpecError as error:
        print(error, file=sys.stderr)
        return os.EX_DATAERR
    if old is None:
        print(f"herald: there were no events at {revision}, so nothing can break")
        return os.EX_OK
    return _report(old, new, revision)


def _report(old: Specs, new: Specs, revision: str) -> int:
    findings = compare(old, new)
    breaking = [finding for finding in findings if finding.breaking]
    for finding in findings:
        print(finding.message)
    if breaking:
        count = f"{len(breaking)} change{'s' * (len(breaking) > 1)}"
        verb = "break" if len(breaking) > 1 else "breaks"
        rule = "give the new form a channel of its own and keep the old one until nobody reads it"
        print(f"herald: {count} since {revision} {verb} readers of events; {rule}", file=sys.stderr)
        return 1
    return os.EX_OK


def _checked(root: Path) -> Specs:
    """Return the specs of the working tree, which must be in order."""
    checked = models.check(load(root, root / MODELS))
    document = load(root, root / EVENTS)
    events.check(document, checked)
    return Specs(document, checked.document)


def _at(root: Path, commit: str) -> Specs | None:
    """Return the specs at a commit; None where there were none yet."""
    documents: list[Document] = []
    for path, faults_of in ((EVENTS, asyncapi_faults), (MODELS, schema_faults)):
        text = file_at(root, commit, path)
        if text is None:
            return None
        document = parse(text, root / path, f"{commit[:12]}:{path.as_posix()}")
        # By the official schemas only: our own rules may have been others then.
        faults = faults_of(document)
        if faults:
            raise SpecError(faults)
        documents.append(document)
    return Specs(*documents)


if __name__ == "__main__":
    sys.exit(main())
