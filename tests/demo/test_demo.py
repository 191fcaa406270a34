"""`make demo` as its user sees it: a transcript, an exit code, nothing left behind."""

import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEMO = (sys.executable, "-m", "demo")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for temporary files, which has to be empty again after the demo."""
    with tempfile.TemporaryDirectory(prefix="herald-test-") as name:
        yield Path(name)


@contextmanager
def started(folder: Path, *command: str, **streams: int) -> Iterator[subprocess.Popen[str]]:
    """Run the demo with its temporary files in a folder of ours; it is over at the end."""
    demo = subprocess.Popen(
        command or DEMO,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder), "COLUMNS": "200"},
        text=True,
        stdin=streams.get("stdin", subprocess.DEVNULL),
        stdout=streams.get("stdout", subprocess.PIPE),
        stderr=subprocess.PIPE,
    )
    with demo:
        try:
            yield demo
        finally:
            demo.kill()
    assert list(folder.iterdir()) == []
    assert processes_of(folder) == []


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of processes whose log or data lies in the folder."""
    commands = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(folder) in str((entry / "fd" / "1").readlink()):
                commands.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return commands


def wait_for_processes(folder: Path, count: int) -> None:
    """Wait until the demo runs so many processes."""
    deadline = time.monotonic() + 30
    while len(processes_of(folder)) < count:
        assert time.monotonic() < deadline, processes_of(folder)
        time.sleep(0.05)


def test_the_demo_follows_each_command_to_its_row(folder: Path) -> None:
    """Without a terminal it prints the whole transcript, exits 0 and leaves nothing behind."""
    with started(folder) as demo:
        out, err = demo.communicate(timeout=90)
    assert demo.returncode == 0, err
    for part in (
        "/start",
        "Hello, Ada! You are registered.",
        "/help",
        "/command test arg1 arg2",
        "/command привет 🚀",
        "Command published!",
        "XREAD STREAMS command_received",
        '"specversion":"1.0"',
        "each is in the stream once and in the database once",
    ):
        assert part in out
    assert err == ""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_no_process_and_no_file(folder: Path, signum: signal.Signals) -> None:
    """Ctrl-C or SIGTERM in the middle ends everything that was started."""
    with started(folder) as demo:
        wait_for_processes(folder, 4)
        demo.send_signal(signum)
        demo.communicate(timeout=30)
    assert demo.returncode == 128 + signum


def test_a_process_that_dies_is_named_with_its_last_lines(folder: Path) -> None:
    """The step that did not happen, the process and the end of its log; non-zero, nothing left."""
    broken = (
        "import runpy, demo.wiring as wiring\n"
        "variables = wiring.Wiring.variables\n"
        "def without_token(self, service):\n"
        "    found = variables(self, service)\n"
        "    found.pop('TELEGRAM_BOT_TOKEN', None)\n"
        "    return found\n"
        "wiring.Wiring.variables = without_token\n"
        "runpy.run_module('demo', run_name='__main__')\n"
    )
    with started(folder, sys.executable, "-c", broken) as demo:
        _, err = demo.communicate(timeout=90)
    assert demo.returncode == os.EX_UNAVAILABLE
    assert "tg_bot exited with 78" in err
    assert "TELEGRAM_BOT_TOKEN is missing" in err


def test_at_a_terminal_it_stays_as_a_chat(folder: Path) -> None:
    """A person can write on, sees the answer, and Ctrl-C ends it with 0 and nothing left."""
    controller, terminal = pty.openpty()
    with started(folder, stdin=terminal, stdout=terminal) as demo:
        read_until(controller, "Ctrl-C ends the demo")
        os.write(controller, b"/command typed by hand\n")
        read_until(controller, '"args":["typed","by","hand"]', then="Ada ")
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0
    os.close(controller)
    os.close(terminal)


def read_until(terminal: int, text: str, then: str = "") -> None:
    """Read what the demo shows until a text is there, and another one after it."""
    shown = ""
    while then not in shown.partition(text)[2] or text not in shown:
        ready, _, _ = select.select([terminal], [], [], 60)
        assert ready, shown
        shown += os.read(terminal, 65536).decode(errors="replace")
