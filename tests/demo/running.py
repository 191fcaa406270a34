"""A demo as a process, at a terminal or not."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.terminal import Terminal, opened

ROOT = Path(__file__).resolve().parents[2]
DEMO = (sys.executable, "-m", "demo")


@contextmanager
def started(folder: Path, project: Path = ROOT, **streams: int) -> Iterator[subprocess.Popen[str]]:
    """Run the demo of a project with its temporary files in a folder; it is over at the end."""
    demo = subprocess.Popen(
        DEMO,
        cwd=project,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(folder),
            "COLUMNS": "200",
            "TERM": "xterm",
            "PROMPT_TOOLKIT_NO_CPR": "1",
        },
        text=True,
        stdin=streams.get("stdin", subprocess.DEVNULL),
        stdout=streams.get("stdout", subprocess.PIPE),
        stderr=streams.get("stderr", subprocess.PIPE),
    )
    with demo:
        try:
            yield demo
            if demo.poll() is None:
                demo.terminate()
                demo.wait(30)
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


@contextmanager
def at_a_terminal(folder: Path, project: Path = ROOT) -> Iterator[Terminal]:
    """Run the demo at a terminal of its own."""
    with opened() as (controller, terminal):
        streams = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
        with started(folder, project, **streams) as demo:
            yield Terminal(demo, controller)
