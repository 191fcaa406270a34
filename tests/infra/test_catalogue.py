"""The error catalogue: every broken file is answered with exactly the text beside it.

A case is two files in catalogue/: NAME.yml is the broken services.yml, NAME.txt what the command
says on standard error. The folder NAME has the sources that it is held to. In catalogue/specs are
broken models, in catalogue/locks a service whose dependencies are not locked.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.codegen.__main__ import main as generate
from infra.stack.__main__ import main

CATALOGUE = Path(__file__).parent / "catalogue"
ROOT = CATALOGUE.parents[2]
CASES = sorted(path.stem for path in CATALOGUE.glob("*.yml"))
SPECS = sorted(path.stem for path in CATALOGUE.glob("specs/*.yaml"))


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
    if (CATALOGUE / case).is_dir():
        shutil.copytree(CATALOGUE / case, tmp_path, dirs_exist_ok=True)
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


@pytest.mark.parametrize("case", SPECS)
def test_broken_models_are_answered_exactly(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every mistake is told at once with its place, nothing is written, and the exit code is 65."""
    (tmp_path / "shared/spec").mkdir(parents=True)
    shutil.copy(CATALOGUE / f"specs/{case}.yaml", tmp_path / "shared/spec/models.yaml")
    code = generate([], tmp_path)
    said = capsys.readouterr()
    assert said.err == (CATALOGUE / f"specs/{case}.txt").read_text(encoding="utf-8")
    assert (code, said.out) == (65, "")
    assert not (tmp_path / "shared/src").exists()


def test_what_is_not_locked_is_answered_exactly(tmp_path: Path) -> None:
    """Whichever target is made, before anything is installed; `make pin` itself may run."""
    shutil.copytree(CATALOGUE / "locks", tmp_path, dirs_exist_ok=True)
    for name in ("infra/dev/environment.py", "requirements-uv.txt", "shared/pyproject.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    text = (tmp_path / "shared/pyproject.toml").read_text().partition("dependencies = [")[0]
    (tmp_path / "shared/pyproject.toml").write_text(text)
    command = (sys.executable, tmp_path / "infra/dev/environment.py")
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.stderr == (CATALOGUE / "locks/answer.txt").read_text(encoding="utf-8")
    assert (done.returncode, done.stdout) == (os.EX_DATAERR, "")
    assert not (tmp_path / ".venv").exists()
