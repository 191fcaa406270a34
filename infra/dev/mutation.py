"""One mutant: made in a copy of the checkout, and tried against the tests that have to notice."""

import difflib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cosmic_ray.plugins
import parso
from cosmic_ray.mutating import use_mutation
from cosmic_ray.operators.operator import Example, Operator
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkResult

ENDING = 20.0
"""Seconds in which tests that have reached their limit may stop what they have started."""


class DropCall(Operator):  # type: ignore[misc]  # cosmic-ray has no types
    """Leaves out a statement that only calls something, other than a line for the log."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        """Yield the place of the statement, where `node` is one."""
        if node.type != "simple_stmt" or node.children[0].type not in {"atom_expr", "power"}:
            return
        call = node.children[0]
        if call.get_last_leaf().value == ")" and call.get_first_leaf().value != "log":
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


def outcome(mutation: MutationSpec, command: Sequence[str], limit: float) -> WorkResult:
    """Try one mutant; one that its tests cannot even load is killed as well."""
    path = mutation.module_path
    operator = cosmic_ray.plugins.get_operator(mutation.operator_name)()
    try:
        with use_mutation(path, operator, mutation.occurrence) as (before, after):
            if after is None:
                return WorkResult(WorkerOutcome.NO_TEST)
            survived = passes(command, Path.cwd(), limit)
    except AttributeError:  # ExceptionReplacer knows no name with a dot among several
        return WorkResult(WorkerOutcome.NO_TEST)
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
