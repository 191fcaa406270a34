"""The error catalogue: every broken services.yml is answered with exactly the text beside it.

A case is two files in catalogue/: NAME.yml is the broken declaration, NAME.txt what the command
says on standard error.
"""

import shutil
from pathlib import Path

import pytest

from infra.stack.__main__ import main

CATALOGUE = Path(__file__).parent / "catalogue"
CASES = sorted(path.stem for path in CATALOGUE.glob("*.yml"))


def test_the_catalogue_is_large_and_complete() -> None:
    """At least 40 broken files, each with its answer, and no answer without a file."""
    assert len(CASES) >= 40
    assert sorted(path.stem for path in CATALOGUE.glob("*.txt")) == CASES


@pytest.mark.parametrize("case", CASES)
def test_a_broken_file_is_answered_exactly(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every mistake is told at once with its place, nothing is written, and the exit code is 65."""
    shutil.copytree(CATALOGUE / "shared", tmp_path / "shared")
    shutil.copy(CATALOGUE / f"{case}.yml", tmp_path / "services.yml")
    before = sorted(tmp_path.rglob("*"))

    code = main(["--file", str(tmp_path / "services.yml"), "sync"])

    said = capsys.readouterr()
    assert said.err == (CATALOGUE / f"{case}.txt").read_text(encoding="utf-8")
    assert (code, said.out) == (65, "")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("case", CASES)
def test_every_message_names_a_place_in_the_file(case: str) -> None:
    """Each line but the last is `services.yml:LINE:COL: message`, with a place that exists."""
    lines = (CATALOGUE / f"{case}.yml").read_text(encoding="utf-8").splitlines()
    *said, last = (CATALOGUE / f"{case}.txt").read_text(encoding="utf-8").splitlines()
    assert last.endswith("nothing was written")
    for message in said:
        file, line, column, _ = message.split(":", maxsplit=3)
        assert file == "services.yml"
        assert 1 <= int(line) <= len(lines) + 1
        assert 1 <= int(column) <= len([*lines, "", ""][int(line) - 1]) + 1
