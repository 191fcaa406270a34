"""`make mutants` finds what a suite lets pass, and only that."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from infra.dev import mutants

ROOT = Path(__file__).resolve().parents[2]
MODULE = """
import logging
import queue

log = logging.getLogger()


def grown(age: int) -> bool:
    return age > 17


def note(ages: list[int], age: int) -> list[int]:
    # A line for the log is nothing that a test has to notice.
    log.debug("noted")
    ages.append(age)
    return ages


def number(text: str, *, base: int = 10) -> int:
    try:
        return int(text, base)
    except (ValueError, queue.Empty):
        return 0
"""
TESTS = """
import subprocess
import sys


def said(code):
    asked = (sys.executable, "-c", f"from tiny import grown, note, number; print({code})")
    return subprocess.check_output(asked, env={}, text=True).strip()


def test_grown():
    assert said("grown(18)") == "True"
    assert said("grown(17)") == "False"


def test_number():
    assert said("number('x')") == "0"
"""


def test_what_no_test_notices_survives_and_the_rest_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dropped call survives, also in a process of its own; with a test for it none does."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # they take longer than the tests
    root = tmp_path / "checkout"
    write(root / "shared/src/tiny.py", MODULE)
    write(root / "tests/test_tiny.py", TESTS)
    subprocess.run(("git", "init", "--quiet"), cwd=root, check=True)
    operators = [
        "herald/.*",
        "core/Replace(ComparisonOperator_Gt_.tE|BinaryOperator_Mul_Div)",
        "core/ExceptionReplacer",
    ]
    tiny = mutants.Package("tiny", ["shared/src/*.py"], ["tests"], operators)
    (survivor,) = mutants.try_package(tiny, root, tmp_path / "state")
    assert "-    ages.append(age)\n+    pass\n" in survivor
    same = frozenset({("shared/src/tiny.py", "ages.append(age)", "pass")})
    assert mutants.try_package(replace(tiny, equal=same), root, tmp_path / "state") == []
    kept = replace(tiny, kept=[r"ages\.append\(.*\)"])
    assert mutants.try_package(kept, root, tmp_path / "state of another") == []
    assert mutants.try_package(tiny, root, tmp_path / "none is tried", most=0) == []

    noticed = '\n\ndef test_note():\n    assert said("note([1], 2)") == "[1, 2]"\n'
    write(root / "tests/test_tiny.py", TESTS + noticed)
    assert mutants.try_package(tiny, root, tmp_path / "state") == []

    write(root / "tests/test_tiny.py", TESTS + "\n\ndef test_fails():\n    assert not said('1')\n")
    with pytest.raises(mutants.MutantsError, match="the tests of tiny fail as it is"):
        mutants.try_package(tiny, root, tmp_path / "state")


def test_every_package_has_its_modules_and_tests(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is named that is not there, help lists every package, and a wrong name is told."""
    makefile = (ROOT / "Makefile").read_text()
    known = mutants.packages()
    assert f"[package={'|'.join(known)}]" in makefile
    for package in known.values():
        for pattern in (*package.modules, *package.tests):
            assert list(ROOT.glob(pattern)), pattern
    with pytest.raises(SystemExit) as ended:
        mutants.main(["nonsense"])
    assert ended.value.code == os.EX_USAGE
    assert "usage: make mutants package=streams|" in capsys.readouterr().err


def write(path: Path, text: str) -> None:
    """Write a file of the checkout."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text), encoding="utf-8")
