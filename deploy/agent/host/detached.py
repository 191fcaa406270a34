"""The cut-over as a process of its own, and following what it says, as often as one likes."""

import os
import subprocess
import sys
import time
from pathlib import Path

from deploy.agent.host.layout import AgentError, Layout, read_json, write_json
from deploy.agent.host.lock import busy

INTERVAL = 0.1
STARTS_WITHIN = 10.0


def begin(layout: Layout, arguments: list[str], run: str) -> None:
    """Start the agent with other arguments, in a session of its own; output goes to a file.

    A run that was begun before is not begun again: who asks twice has not heard the first answer.
    """
    log, _ = files(layout, run)
    for old in layout.state.glob("run-*"):
        if time.time() - old.stat().st_mtime > 7 * 24 * 3600:
            old.unlink()
    try:
        output = log.open("xb")
    except FileExistsError:
        return
    with output:
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
    deadline = time.monotonic() + STARTS_WITHIN
    with log.open("rb") as output:
        while True:
            found = read_json(result)
            alive = busy(layout)
            if text := output.read():
                sys.stdout.buffer.write(text)
                sys.stdout.buffer.flush()
            if found is not None:
                return int(found["code"])
            if not alive and time.monotonic() > deadline and read_json(result) is None:
                raise AgentError("the cut-over died on the host; run the same command again")
            if alive:
                deadline = time.monotonic() + 2
            time.sleep(INTERVAL)


def files(layout: Layout, run: str) -> tuple[Path, Path]:
    """Return the files with a run's output and its result."""
    safe = Path(run).name
    return layout.state / f"run-{safe}.log", layout.state / f"run-{safe}.json"
