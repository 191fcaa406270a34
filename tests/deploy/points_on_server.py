"""Runs in every Python of a test server: stops or kills the agent at a chosen moment.

/run/points holds `ACTION VERB MOMENT`: `kill cut-over create` when the journal that names the step
`create` is on the disk, `hold cut-over smoke: docker exec` before a program is started in the step
`smoke`. `kill` is SIGKILL; `hold` is SIGSTOP, with the process id in /run/points.held. Python tells
of both through its audit events (docs.python.org/3/library/audit_events.html).
"""

import json
import os
import signal
import sys
from fnmatch import fnmatchcase
from pathlib import Path

PLAN = Path("/run/points")
HELD = Path("/run/points.held")


def act(action: str) -> None:
    """Kill or hold this process; a moment is met once."""
    PLAN.unlink()
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    HELD.write_text(str(os.getpid()))
    os.kill(os.getpid(), signal.SIGSTOP)


def watch(event: str, arguments: tuple[object, ...]) -> None:
    """Look at what this process is about to do."""
    if event == "os.rename" and str(arguments[1]).endswith("/journal.json"):
        coming.append(json.loads(Path(str(arguments[0])).read_text())["step"] or "begun")
    elif event == "open" and coming:
        # The folder of the journal is opened to be synced: the rename is done.
        steps.append(coming.pop())
        meet(steps[-1])
    elif event == "subprocess.Popen" and isinstance(arguments[1], list | tuple):
        meet(f"{steps[-1] if steps else ''}: {' '.join(arguments[1])}")


def meet(moment: str) -> None:
    """Act where this moment is the chosen one; of a program its first words are enough."""
    if not PLAN.exists():
        return
    action, verb, chosen = PLAN.read_text().strip().split(" ", 2)
    same = fnmatchcase(moment, f"{chosen}*") if ":" in chosen else moment == chosen
    if verb in sys.argv and same:
        act(action)


coming: list[str] = []
steps: list[str] = []
busy: list[bool] = []


def hook(event: str, arguments: tuple[object, ...]) -> None:
    """Look once at a time: looking causes events too."""
    if not busy and event in {"os.rename", "open", "subprocess.Popen"}:
        busy.append(True)
        try:
            watch(event, arguments)
        finally:
            busy.pop()


sys.addaudithook(hook)
