"""The demo's processes: started side by side, ended together, their logs kept for a failure."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

STOP_GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")


class ProcessEndedError(Exception):
    """A process of the stack ended although the demo still needs it."""

    def __init__(self, name: str, code: int) -> None:
        super().__init__(f"{name} exited with {code}")
        self.name = name


class Processes:
    """The processes of one run; each writes its log to a file in the run's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, asyncio.subprocess.Process] = {}

    async def start(self, name: str, command: Sequence[str], variables: Mapping[str, str]) -> None:
        """Start one; it sees its own variables and hardly anything of this process's."""
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

    def check(self) -> None:
        """Raise ProcessEndedError where a process has ended."""
        for name, process in self._running.items():
            if process.returncode is not None:
                raise ProcessEndedError(name, process.returncode)

    def last_lines(self, name: str, count: int = 15) -> str:
        """Return the end of a process's log."""
        path = self._log(name)
        if not path.exists():
            return ""
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])

    async def stop(self) -> None:
        """End all of them, in the reverse order of their start: SIGTERM, then SIGKILL."""
        processes = list(reversed(self._running.values()))
        for process in processes:
            _signal(process, signal.SIGTERM)
        ends = [asyncio.ensure_future(process.wait()) for process in processes]
        if ends:
            _, late = await asyncio.wait(ends, timeout=STOP_GRACE)
            for process in processes:
                _signal(process, signal.SIGKILL)
            if late:
                await asyncio.wait(late)
        self._running.clear()

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"


def _signal(process: asyncio.subprocess.Process, signum: signal.Signals) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signum)
