"""The generator writes what the specs say: the same text every time, and only where it differs."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.codegen.__main__ import main
from tests.infra.codegen.copying import copy_specs

Generate = Callable[..., int]
Edit = Callable[[str, str, str], None]

ROOT = Path(__file__).parents[3]
SCHEMAS = "shared/src/shared/generated/schemas.py"
EVENTS = "shared/src/shared/generated/events.py"
USERS = "services/backend/src/backend/generated/users.py"
DEBUG = "services/backend/src/backend/generated/debug.py"


ELSEWHERE = {"__pycache__", ".venv", ".state", ".tools"}
"""Folders whose files are of no checkout, or of a copy that `make mutants` has made."""


def generated(root: Path) -> dict[str, bytes]:
    """Return every file in a generated package."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("generated/*")
        if path.is_file() and not ELSEWHERE & set(path.relative_to(root).parts)
    }


def test_what_is_committed_is_what_the_specs_say(tmp_path: Path) -> None:
    """Byte for byte, from an empty tree, and nothing besides."""
    assert main([], copy_specs(ROOT, tmp_path)) == 0
    there = generated(ROOT)
    del there["shared/src/shared/generated/stack.json"]  # that is made of services.yml
    assert generated(tmp_path) == there


def test_the_same_specs_make_the_same_bytes_in_another_process(repository: Path) -> None:
    """No order of a set and no hash seed shows."""
    script = (
        "import sys; from pathlib import Path; from infra.codegen.generation import generate;"
        "files = generate(Path(sys.argv[1]));"
        "sys.stdout.write(''.join(f'{path}\\n{files[path]}' for path in sorted(files)))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script, str(repository)],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_a_second_run_touches_nothing(
    generate: Generate, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the time nor the inode of a file that is right already changes."""
    generate()
    before = {name: (repository / name).stat() for name in generated(repository)}
    capsys.readouterr()
    assert generate() == 0
    after = {name: (repository / name).stat() for name in generated(repository)}
    assert {n: (s.st_ino, s.st_mtime_ns) for n, s in before.items()} == {
        n: (s.st_ino, s.st_mtime_ns) for n, s in after.items()
    }
    assert capsys.readouterr().out == ""


def test_only_the_file_that_differs_is_written(
    generate: Generate, repository: Path, edit: Edit, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says which one; the file is readable by everybody, as any source is."""
    generate()
    capsys.readouterr()
    edit("services/backend/spec/users.yaml", "summary: Register a user.", "summary: Sign up.")
    before = os.umask(0o077)
    try:
        assert generate() == 0
    finally:
        os.umask(before)
    assert capsys.readouterr().out == f"wrote {USERS}\n"
    assert '"""Sign up.' in (repository / USERS).read_text()
    assert stat.S_IMODE((repository / USERS).stat().st_mode) == 0o644


def test_check_prints_the_difference_and_writes_nothing(
    generate: Generate, repository: Path, edit: Edit, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 1, a unified diff, and what to run."""
    generate()
    before = generated(repository)
    capsys.readouterr()
    edit("shared/spec/events.yaml", "summary: Publish a command that", "summary: Tell that")
    assert generate("--mode", "check") == 1
    output = capsys.readouterr()
    assert f"--- a/{EVENTS}\n+++ b/{EVENTS}\n" in output.out
    assert '+    """Tell that the bot received.' in output.out
    assert "make generate-from-spec" in output.err
    assert generated(repository) == before


def test_check_is_content_when_nothing_differs(
    generate: Generate, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 0 and no word."""
    generate()
    capsys.readouterr()
    assert generate("--mode", "check") == 0
    assert capsys.readouterr() == ("", "")


def test_an_edited_file_is_drift(
    generate: Generate, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever edits generated code loses the edit, and check says so first."""
    generate()
    path = repository / SCHEMAS
    path.write_text(path.read_text().replace("first_name", "given_name"))
    assert generate("--mode", "check") == 1
    assert "+    first_name" in capsys.readouterr().out
    assert generate() == 0
    assert generate("--mode", "check") == 0


def test_a_module_whose_spec_is_gone_goes_too(
    generate: Generate, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Check names it, write removes it; nothing outside generated packages is looked at."""
    generate()
    (repository / "services/backend/spec/debug.yaml").unlink()
    bystander = repository / "services/backend/src/backend/debug.py"
    bystander.write_text("kept = True\n")
    capsys.readouterr()
    assert generate("--mode", "check") == 1
    assert "+++ /dev/null" in capsys.readouterr().out
    assert generate() == 0
    assert capsys.readouterr().out == f"removed {DEBUG}\n"
    assert not (repository / DEBUG).exists()
    assert bystander.exists()


def test_an_interrupted_write_leaves_the_old_file(
    generate: Generate, repository: Path, edit: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader sees the whole old file or the whole new one, and no temporary file stays."""
    generate()
    before = generated(repository)
    edit("services/backend/spec/users.yaml", "summary: Register a user.", "summary: Sign up.")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        generate()
    assert generated(repository) == before


@pytest.mark.parametrize("arguments", [["--mode", "chekc"], ["--what"], ["extra"], ["--mod=check"]])
def test_wrong_usage_is_exit_64(
    generate: Generate, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With the usage and what was wrong with it."""
    with pytest.raises(SystemExit) as stopped:
        generate(*arguments)
    assert stopped.value.code == os.EX_USAGE
    assert "usage:" in capsys.readouterr().err


def test_help_says_everything(generate: Generate, capsys: pytest.CaptureFixture[str]) -> None:
    """What it reads, what it writes, and every exit status."""
    with pytest.raises(SystemExit) as stopped:
        generate("--help")
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    for word in ("shared/spec/", "services/*/spec/", "--mode", "64", "65"):
        assert word in text
