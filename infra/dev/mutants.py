"""`make mutants package=NAME`: change the code in small ways, and show what the suite lets pass.

Each mutant is one small change in one module of the package, tried against the package's own tests
in a copy of the checkout with an environment of its own, so that processes which a test starts run
the mutant as well. A session goes on where it was stopped, as long as the package is the same; what
survived before is tried again. `most=N` tries that many of those that are left, and `seed=N`
says which. `[tool.mutants]` in pyproject.toml has packages, tests and changes, the lines that are
left as they are, and the mutants that change nothing, each with the reason.
"""

import argparse
import hashlib
import os
import random
import re
import signal
import sys
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from cosmic_ray.commands.init import init
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkItem, WorkResult

from infra.dev.environment import ROOT, say
from infra.dev.mutation import copy, outcome, passes

STATE = ROOT / ".state" / "mutants"


class MutantsError(Exception):
    """The mutants of a package cannot be tried; the message says why."""


@dataclass(frozen=True)
class Package:
    """What is changed, and what has to notice it; paths are patterns from the root.

    `equal` are the mutants that change nothing: a line as it was, and as it becomes, by the path.
    `kept` are patterns of lines that are not changed: they say nothing about what the code does.
    """

    name: str
    modules: Sequence[str]
    tests: Sequence[str]
    operators: Sequence[str]
    equal: frozenset[tuple[str, str, str]] = frozenset()
    kept: Sequence[str] = ()

    def knows_as_equal(self, diff: str) -> bool:
        """Whether a mutant is one of those that change nothing."""
        lines = diff.splitlines()
        path = lines[0].partition("a/")[2] if lines else ""
        was, becomes = (
            [line[1:].strip() for line in lines[2:] if line[0] == sign] for sign in "-+"
        )
        return (path, "\n".join(was), "\n".join(becomes)) in self.equal


def packages() -> dict[str, Package]:
    """Return the packages of pyproject.toml by their names."""
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutants"]
    equal = frozenset(
        (same["path"], same["was"], same["becomes"]) for same in tool.get("equal", [])
    )
    common = tool["operators"], equal, tool["kept"]
    return {
        name: Package(name, part["modules"], part["tests"], *common)
        for name, part in tool["packages"].items()
    }


def parse(arguments: Sequence[str], known: Mapping[str, Package]) -> argparse.Namespace:
    """Return what the command line asks for; exits with 64 where it makes no sense."""
    usage = f"make mutants package={'|'.join(known)} [most=N] [seed=N]"
    parser = argparse.ArgumentParser(prog="make mutants", usage=usage)
    parser.add_argument("package", choices=known)
    parser.add_argument("--most", type=int, help="try so many of those that are left")
    parser.add_argument("--seed", type=int, default=1, help="which of them")
    try:
        return parser.parse_args(arguments)
    except SystemExit as error:
        raise SystemExit(os.EX_USAGE if error.code else os.EX_OK) from None


def main(arguments: Sequence[str]) -> int:
    """Try the mutants of one package; 1 when one survives."""
    known = packages()
    asked = parse(arguments, known)
    # A shell lets what it starts in the background ignore Ctrl-C, and the tests with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        state = STATE / asked.package
        survivors = try_package(known[asked.package], ROOT, state, asked.most, asked.seed)
    except MutantsError as error:
        print(f"mutants: {error}", file=sys.stderr)
        return os.EX_UNAVAILABLE
    except KeyboardInterrupt:
        say("stopped; the same command goes on from here")
        return 128 + signal.SIGINT
    for diff in survivors:
        print(f"\n{diff}")
    print(f"\n{len(survivors)} mutants survived" if survivors else "\nno mutant survived")
    return 1 if survivors else os.EX_OK


def try_package(
    package: Package, root: Path, state: Path, most: int | None = None, seed: int = 1
) -> list[str]:
    """Try every mutant of a package that has not been killed yet; return the survivors' diffs.

    Args:
        package: what to change.
        root: the checkout that is copied.
        state: where the copy and the session are kept.
        most: how many of those that were not tried yet; all without it.
        seed: which of them.

    Raises:
        MutantsError: no module is there, or the tests fail without any mutant.
    """
    tree = state / "tree"
    python = copy(root, tree)
    modules = [path.relative_to(tree) for name in package.modules for path in tree.glob(name)]
    modules = sorted(path for path in modules if path.name != "__init__.py")
    if not modules:
        raise MutantsError(f"package {package.name} has no module under {root}")
    command = (str(python), "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *package.tests)
    began = monotonic()
    if not passes(command, tree, None):
        raise MutantsError(f"the tests of {package.name} fail as it is: {' '.join(package.tests)}")
    limit = 10 + 3 * (monotonic() - began)
    parts = [str(path) + (tree / path).read_text() for path in modules]
    parts += [*package.operators, *package.kept]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
    with use_db(state / f"session-{digest}.sqlite") as session, chdir(tree):
        if not session.num_work_items:
            init(modules, session, {})
            skip(session, package)
        work(session, command, limit, choose(session, most, seed))
        survived = (
            result.diff or ""
            for _, result in session.results
            if result.test_outcome == TestOutcome.SURVIVED
        )
        return sorted(diff for diff in survived if not package.knows_as_equal(diff))


def choose(session: WorkDB, most: int | None, seed: int) -> list[WorkItem]:
    """Return what survived before, and what is to be tried of the rest."""
    before = [
        item
        for item, result in session.completed_work_items
        if result.test_outcome == TestOutcome.SURVIVED
    ]
    left = sorted(session.pending_work_items, key=lambda item: repr(item.mutations))
    if most is not None:
        left = random.Random(seed).sample(left, min(most, len(left)))  # noqa: S311 — no secret
    return [*before, *left]


def skip(session: WorkDB, package: Package) -> None:
    """Take out every mutant that is none of the wanted kinds; constants are not counted up.

    A star that stands alone among parameters is no product.
    """
    wanted, kept = (re.compile("|".join(each)) for each in (package.operators, package.kept))
    skipped = []
    for item in session.work_items:
        mutation = item.mutations[0]
        constant = mutation.definition_name is None and "Number" in mutation.operator_name
        row, column = mutation.start_pos
        line = mutation.module_path.read_text().splitlines()[row - 1]
        star = line[column:].startswith("*,")
        tried = wanted.fullmatch(mutation.operator_name) and not kept.fullmatch(line.strip())
        if constant or star or not tried:
            skipped.append(item.job_id)
    session.set_multiple_results(skipped, WorkResult(WorkerOutcome.SKIPPED))


def work(session: WorkDB, command: Sequence[str], limit: float, items: Sequence[WorkItem]) -> None:
    """Try mutants, with a line of progress for each."""
    survived, began = 0, monotonic()
    for number, item in enumerate(items, 1):
        result = outcome(item.mutations[0], command, limit)
        session.set_result(item.job_id, result)
        survived += result.test_outcome == TestOutcome.SURVIVED
        left = (monotonic() - began) / number * (len(items) - number) / 60
        say(f"{number} of {len(items)} mutants, {survived} survived, {left:.0f} min left")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
