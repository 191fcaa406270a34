"""Whatever is in the file, the answer is a plan or a message, never a traceback."""

import contextlib
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.stack import InputError, InvalidInputError, load_plan
from infra.stack.__main__ import main
from tests.infra.stack import STACK

ROOT = Path(__file__).resolve().parents[2]
DECLARATION = STACK.read_text(encoding="utf-8")
LINES = DECLARATION.splitlines()
FRAGMENTS = [
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "*x",
    "&x ",
    "!!int ",
    "'",
    '"',
    "|",
    "\t",
    "<<: ",
    "~",
]


def answer(text: str) -> None:
    """Load a text as services.yml of a repository with our events."""
    with TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "shared/spec", Path(folder) / "shared/spec")
        path = Path(folder) / "services.yml"
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        with contextlib.suppress(InputError):
            load_plan(path)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    line=st.integers(0, len(LINES) - 1),
    column=st.integers(0, 60),
    gone=st.integers(0, 12),
    new=st.sampled_from(["", *FRAGMENTS]) | st.text(max_size=6),
)
def test_a_slip_of_the_hand_is_no_traceback(line: int, column: int, gone: int, new: str) -> None:
    """Any small edit of our own services.yml is planned or answered."""
    old = LINES[line]
    edited = old[:column] + new + old[column + gone :]
    answer("\n".join([*LINES[:line], edited, *LINES[line + 1 :]]))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(order=st.permutations(range(0, len(LINES), 3)))
def test_shuffled_lines_are_no_traceback(order: list[int]) -> None:
    """Nonsense of valid words is answered as well."""
    answer("\n".join(LINES[number] for number in order))


@pytest.mark.parametrize("text", ["[" * 20_000, "{a: " * 20_000, "- " * 20_000, "? " * 20_000])
def test_deep_nesting_is_answered(text: str, repository: Callable[..., Path]) -> None:
    """A file that nests without end has a message too."""
    with pytest.raises(InputError, match=r"services.yml:\d+:\d+: "):
        load_plan(repository(text))


@pytest.mark.parametrize("text", [b"\xff\xfe\x00", b"version: 1\nproject: \xe4\n"])
def test_a_file_that_is_not_utf_8_is_refused(text: bytes, repository: Callable[..., Path]) -> None:
    """Bytes that are no text are told from YAML mistakes."""
    path = repository()
    path.write_bytes(text)
    with pytest.raises(InputError, match="not UTF-8"):
        load_plan(path)


def test_a_missing_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without services.yml there is one line and exit code 66."""
    assert main(["--file", str(tmp_path / "services.yml"), "sync"]) == 66
    assert capsys.readouterr().err == "herald: services.yml: No such file or directory\n"


def test_windows_line_ends_and_a_byte_order_mark_are_fine(repository: Callable[..., Path]) -> None:
    """An editor that writes CRLF and a BOM breaks nothing."""
    path = repository()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert load_plan(path).project == "demo"


def test_a_mistake_in_the_events_file_names_that_file(repository: Callable[..., Path]) -> None:
    """The message leads to shared/spec/events.yaml when the mistake is there."""
    with pytest.raises(InvalidInputError, match=r"^shared/spec/events.yaml:2:1: not YAML"):
        load_plan(repository(events="channels: [\n"))


def test_a_terminal_shows_the_line_with_a_caret(repository: Callable[..., Path]) -> None:
    """At a terminal each message is followed by its source line and a caret under the place."""
    path = repository("version: 1\nproject: demo\nservices:\n  - {name: worker, typ: python}\n")
    ours, theirs = pty.openpty()
    command = (sys.executable, "-m", "infra.stack", "--file", str(path), "sync")
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    finished = subprocess.run(command, stderr=theirs, env=env, cwd=path.parent, check=False)
    os.close(theirs)
    said = os.read(ours, 65536).decode().replace("\r\n", "\n")
    os.close(ours)
    assert finished.returncode == 65
    assert "    4 |   - {name: worker, typ: python}\n      |                    ^\n" in said
