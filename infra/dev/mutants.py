"""`make mutants package=NAME`: change the code in small ways, and show what the suite lets pass.

Each mutant is one small change in one module of the package, tried against the package's own tests
in a copy of the checkout with an environment of its own, so that processes which a test starts run
the mutant as well. A session goes on where it was stopped, as long as the package is the same; what
survived before is tried again. `[tool.mutants]` in pyproject.toml has packages, tests and changes.
"""

import difflib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tomllib
import venv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import cosmic_ray.plugins
import parso
from cosmic_ray.commands.init import init
from cosmic_ray.mutating import use_mutation
from cosmic_ray.operators.operator import Example, Operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkItem, WorkResult

from infra.dev.environment import ROOT, say

STATE = ROOT / ".state" / "mutants"
ENDING = 20.0
"""Seconds in which tests that have reached their limit may stop what they have started."""


class MutantsError(Exception):
    """The mutants of a package cannot be tried; the message says why."""


@dataclass(frozen=True)
class Package:
    """What is changed, and what has to notice it; paths are patterns from the root."""

    name: str
    modules: Sequence[str]
    tests: Sequence[str]
    operators: Sequence[str]


class DropCall(Operator):  # type: ignore[misc]  # cosmic-ray has no types
    """Leaves out a statement that only calls something, other than a line for the log."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        """Yield the place of the statement, where `node` is one."""
        if node.type != "simple_stmt" or node.children[0].type not in {"atom_expr", "power"}:
            return
        call = node.children[0]
        if call.get_last_leaf().value == ")" and not call.get_code().strip().startswith("log."):
            yield call.start_pos, call.end_pos

    def mutate(self, node: Any, index: int) -> Any:  # noqa: ARG002 — cosmic-ray's signature
        """Put `pass` in its place."""
        nothing = parso.parse("pass").children[0]  # type: ignore[no-untyped-call]
        nothing.prefix = node.get_first_leaf().prefix
        node.children[0] = nothing
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Show one."""
        return (Example("await sleep(1)\n", "pass\n"),)


cosmic_ray.plugins.OPERATOR_PROVIDERS["herald"] = {DropCall.__name__: DropCall}


def packages() -> dict[str, Package]:
    """Return the packages of pyproject.toml by their names."""
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutants"]
    return {
        name: Package(name, part["modules"], part["tests"], tool["operators"])
        for name, part in tool["packages"].items()
    }


def main(names: Sequence[str]) -> int:
    """Try the mutants of one package; 1 when one survives."""
    known = packages()
    if len(names) != 1 or names[0] not in known:
        print(f"usage: make mutants package={'|'.join(known)}", file=sys.stderr)
        return os.EX_USAGE
    # A shell lets what it starts in the background ignore Ctrl-C, and the tests with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        survivors = try_package(known[names[0]], ROOT, STATE / names[0])
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


def try_package(package: Package, root: Path, state: Path) -> list[str]:
    """Try every mutant of a package that has not been killed yet; return the survivors' diffs.

    Args:
        package: what to change.
        root: the checkout that is copied.
        state: where the copy and the session are kept.

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
    parts = [*(str(path) + (tree / path).read_text() for path in modules), *package.operators]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
    with use_db(state / f"session-{digest}.sqlite") as session, chdir(tree):
        if not session.num_work_items:
            init(modules, session, {})
            skip(session, package.operators)
        work(session, command, limit)
        return sorted(
            result.diff or ""
            for _, result in session.results
            if result.test_outcome == TestOutcome.SURVIVED
        )


def copy(root: Path, tree: Path) -> Path:
    """Copy what git knows of, with a Python that imports the copy's packages first; return it."""
    shutil.rmtree(tree, ignore_errors=True)
    listing = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = subprocess.run(listing, cwd=root, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (root / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, tree / name)
    venv.create(tree / ".venv", symlinks=True)
    (site,) = tree.glob(".venv/lib/python*/site-packages")
    sources = [*tree.glob("shared/src"), *tree.glob("services/*/src")]
    # A path in a .pth file brings no .pth of its own along: the checkout's sources stay outside.
    paths = [*sources, Path(sysconfig.get_path("purelib"))]
    (site / "herald.pth").write_text("".join(f"{path}\n" for path in paths), encoding="utf-8")
    return tree / ".venv/bin/python"


def skip(session: WorkDB, operators: Iterable[str]) -> None:
    """Take out every mutant that is none of the wanted kinds; constants are not counted up."""
    wanted = re.compile("|".join(operators))
    skipped = []
    for item in session.work_items:
        mutation = item.mutations[0]
        constant = mutation.definition_name is None and "Number" in mutation.operator_name
        if constant or not wanted.fullmatch(mutation.operator_name):
            skipped.append(item.job_id)
    session.set_multiple_results(skipped, WorkResult(WorkerOutcome.SKIPPED))


def work(session: WorkDB, command: Sequence[str], limit: float) -> None:
    """Try what survived before, then what is left, with a line of progress."""
    before = [
        item
        for item, result in session.completed_work_items
        if result.test_outcome == TestOutcome.SURVIVED
    ]
    items: list[WorkItem] = [*before, *session.pending_work_items]
    survived, began = 0, monotonic()
    for number, item in enumerate(items, 1):
        result = outcome(item.mutations[0], command, limit)
        session.set_result(item.job_id, result)
        survived += result.test_outcome == TestOutcome.SURVIVED
        left = (monotonic() - began) / number * (len(items) - number) / 60
        say(f"{number} of {len(items)} mutants, {survived} survived, {left:.0f} min left")


def outcome(mutation: MutationSpec, command: Sequence[str], limit: float) -> WorkResult:
    """Try one mutant; one that its tests cannot even load is killed as well."""
    path = mutation.module_path
    operator = cosmic_ray.plugins.get_operator(mutation.operator_name)()
    with use_mutation(path, operator, mutation.occurrence) as (before, after):
        if after is None:
            return WorkResult(WorkerOutcome.NO_TEST)
        survived = passes(command, Path.cwd(), limit)
    lines = (before.splitlines(), after.splitlines())
    diff = "\n".join(difflib.unified_diff(*lines, f"a/{path}", f"b/{path}", lineterm=""))
    reached = TestOutcome.SURVIVED if survived else TestOutcome.KILLED
    return WorkResult(WorkerOutcome.NORMAL, test_outcome=reached, diff=diff)


def passes(command: Sequence[str], tree: Path, limit: float | None) -> bool:
    """Run the tests; at their limit they are stopped as by Ctrl-C, so that they leave nothing."""
    # Bytecode is told from its source by seconds, and mutants follow each other faster.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PATH": path}
    env.pop("PYTHONPATH", None)
    quiet = subprocess.DEVNULL
    tests = subprocess.Popen(
        command, cwd=tree, env=env, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
    )
    try:
        return tests.wait(limit) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        end(tests)


def end(tests: subprocess.Popen[bytes]) -> None:
    """Stop tests that still run, with all that is in their session."""
    if tests.poll() is not None:
        return
    tests.send_signal(signal.SIGINT)
    try:
        tests.wait(ENDING)
    except subprocess.TimeoutExpired:
        os.killpg(tests.pid, signal.SIGKILL)
        tests.wait()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
