"""The demo's processes: started side by side, ended together, their logs kept."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

STOP_GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")


class Processes:
    """The processes of one run; each writes its log to a file in the run's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._shown: dict[str, int] = {}

    async def start(self, name: str, command: Sequence[str], variables: Mapping[str, str]) -> None:
        """Start one; it sees its own variables and hardly anything of this process's.

        Raises:
            OSError: There is no such program.
        """
        inherited = {key: os.environ[key] for key in INHERITED if key in os.environ}
        program = sys.executable if command[0] == "python" else command[0]
        with self._log(name).open("ab") as log:
            self._running[name] = await asyncio.create_subprocess_exec(
                program,
                *command[1:],
                env={**inherited, **variables},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def names(self) -> tuple[str, ...]:
        """Return the names of all that were started, in that order."""
        return tuple(self._running)

    def runs(self, name: str) -> bool:
        """Whether a process of that name runs."""
        process = self._running.get(name)
        return process is not None and process.returncode is None

    async def end(self, name: str) -> int | None:
        """Return a process's exit code when it has ended by itself; None where it was stopped."""
        process = self._running[name]
        code = await process.wait()
        return code if self._running.get(name) is process else None

    def last_lines(self, name: str, count: int = 15) -> list[str]:
        """Return the end of a process's log."""
        return self._text(name).splitlines()[-count:]

    def new_lines(self, names: Iterable[str]) -> dict[str, list[str]]:
        """Return what was logged since this was asked last, by name."""
        fresh = {}
        for name in names:
            text = self._text(name)
            fresh[name] = text[self._shown.get(name, 0) :].splitlines()
            self._shown[name] = len(text)
        return fresh

    async def stop(self, *names: str) -> None:
        """End the named ones, or all in the reverse order of their start: SIGTERM, then SIGKILL."""
        chosen = names or tuple(reversed(self._running))
        processes = [self._running.pop(name) for name in chosen if name in self._running]
        for process in processes:
            _signal(process, signal.SIGTERM)
        ends = [asyncio.ensure_future(process.wait()) for process in processes]
        if ends:
            _, late = await asyncio.wait(ends, timeout=STOP_GRACE)
            for process in processes:
                _signal(process, signal.SIGKILL)
            if late:
                await asyncio.wait(late)

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def _text(self, name: str) -> str:
        path = self._log(name)
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _signal(process: asyncio.subprocess.Process, signum: signal.Signals) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signum)
