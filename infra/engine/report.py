"""What the person at the terminal sees, and how commands run for them.

Nothing is said about what takes under two seconds. What takes longer is named, then how far it is,
then how long it took. Every command's output goes into a log file, which a failure names.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 2.0
INTERVAL = 10.0
SYSTEM_FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class SetupError(Exception):
    """A finished message to the person, and the exit code of sysexits.h that goes with it."""

    def __init__(self, message: str, code: int = os.EX_UNAVAILABLE) -> None:
        super().__init__(message)
        self.code = code


class Step:
    """Something that is being waited for; `detail` is the newest sign of life."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.detail = ""
        self.shown = False
        self.started = time.monotonic()
        self.over = threading.Event()

    def watch(self) -> None:
        """Tell what is going on until the step is over."""
        if self.over.wait(PATIENCE):
            return
        self.shown = True
        say(f"{self.title} …")
        while not self.over.wait(INTERVAL):
            say(f"  {self.seconds():.0f} s {self.detail[:100]}".rstrip())

    def seconds(self) -> float:
        """Return how long the step has been going on."""
        return time.monotonic() - self.started


@contextmanager
def step(title: str) -> Iterator[Step]:
    """Name what happens inside the block, if it takes more than two seconds."""
    current = Step(title)
    watcher = threading.Thread(target=current.watch, daemon=True)
    watcher.start()
    try:
        yield current
    except BaseException:
        current.shown = False
        raise
    finally:
        current.over.set()
        watcher.join()
    if current.shown:
        say(f"  done in {current.seconds():.0f} s")


def say(text: str) -> None:
    """Tell the person at the terminal one line."""
    sys.stderr.write(f"herald: {text}\n")
    sys.stderr.flush()


def log_file() -> Path:
    """Return the file that holds every command's output: the system's for root, else our own."""
    if os.geteuid() == 0:
        return Path("/var/log/herald-docker.log")
    folder = ROOT / ".state"
    folder.mkdir(exist_ok=True)
    return folder / "docker.log"


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a command: English output, the system's programs within reach."""
    path = f"{os.environ.get('PATH', '')}:{SYSTEM_FOLDERS}"
    return {**os.environ, "LC_ALL": "C.UTF-8", "PATH": path, **(extra or {})}


def run(
    what: str,
    command: Sequence[str],
    *,
    extra: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Run one command as a step of its own and return what it printed.

    Args:
        what: What the command does, as in "installing docker.io".
        command: Program and arguments.
        extra: Environment variables besides our own.
        cwd: The command's working directory.

    Raises:
        SetupError: The command is missing or failed; the message has its last words.
    """
    lines: list[str] = []
    log = log_file()
    with step(what) as current, log.open("a") as record:
        record.write(f"$ {' '.join(command)}\n")
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                cwd=cwd,
                env=environment(extra),
            )
        except FileNotFoundError:
            raise SetupError(f"{what}: {command[0]} is not installed") from None
        with process:
            for line in process.stdout or ():
                record.write(line)
                lines.append(line.rstrip())
                current.detail = line.strip() or current.detail
    if process.returncode:
        raise SetupError(f"{what} failed: {last_words(lines)} (everything is in {log})")
    return "\n".join(lines)


def last_words(lines: Sequence[str]) -> str:
    """Return the line that says best why a command failed: its first error, else its last line."""
    spoken = [line.strip() for line in lines if line.strip()]
    errors = [line for line in spoken if line.startswith(("E:", "error:", "Error"))]
    return (errors or spoken[-1:] or ["it said nothing"])[0]
