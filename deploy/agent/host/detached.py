"""The cut-over as a process of its own, and following what it says, as often as one likes."""

import fcntl
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

from deploy.agent.host.errors import AgentError
from deploy.agent.host.layout import Layout, read_json, write_json

INTERVAL = 0.1
KEPT_SECONDS = 7 * 24 * 3600


def begin(layout: Layout, arguments: list[str], run: str) -> None:
    """Start the agent with other arguments, in a session of its own; output goes to a file.

    The process holds a lock of the kernel's on that file for as long as it lives. A run that was
    begun before is not begun again: who asks twice has not heard the first answer.
    """
    log, _ = files(layout, run)
    for old in layout.state.glob("run-*"):
        if time.time() - old.stat().st_mtime > KEPT_SECONDS:
            old.unlink()
    with tempfile.NamedTemporaryFile(dir=layout.state, prefix=".run-") as output:
        fcntl.flock(output, fcntl.LOCK_EX)
        try:
            # It has its name only when it is locked.
            os.link(output.name, log)
        except FileExistsError:
            return
        subprocess.Popen(
            (sys.executable, sys.argv[0], *arguments, "--run", run),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
        )


def note_result(layout: Layout, run: str, code: int) -> None:
    """Write down how a run ended."""
    write_json(files(layout, run)[1], {"code": code})


def follow(layout: Layout, run: str) -> int:
    """Print what a run says until it ends; return its exit code.

    Raises:
        AgentError: It died without a result.
    """
    log, result = files(layout, run)
    if not log.exists():
        raise AgentError(f"no run is called {run!r}", os.EX_USAGE)
    with log.open("rb") as output:
        while True:
            over = ended(output)
            sys.stdout.buffer.write(output.read())
            sys.stdout.buffer.flush()
            if over:
                break
            time.sleep(INTERVAL)
    facts = read_json(result)
    if facts is None:
        raise AgentError("the cut-over died on the host; run the same command again")
    return int(facts["code"])


def ended(output: IO[bytes]) -> bool:
    """Whether the process that writes a run's output has ended."""
    try:
        fcntl.flock(output, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(output, fcntl.LOCK_UN)
    return True


def files(layout: Layout, run: str) -> tuple[Path, Path]:
    """Return the files with a run's output and its result."""
    safe = Path(run).name
    return layout.state / f"run-{safe}.log", layout.state / f"run-{safe}.json"
