"""Runs in every Python of a test server: stops or kills the agent at a chosen moment.

/run/points holds `ACTION VERB MOMENT`, such as `kill cut-over step=create` or
`hold cut-over run=docker stop`. A step is reached once the journal that names it is on the disk; a
run is reached before the program is started. `kill` is SIGKILL; `hold` is SIGSTOP, with the process
id in /run/points.held. Python tells of both through its audit events
(docs.python.org/3/library/audit_events.html).
"""

import json
import os
import signal
import sys
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
        written = json.loads(Path(str(arguments[0])).read_text())
        steps.append(str(written["step"] or "begun"))
    elif event == "open" and steps and arguments[1] is None:
        # The folder of the journal is opened to be synced: the rename is done.
        meet(f"step={steps.pop()}")
    elif event == "subprocess.Popen":
        words = arguments[1]
        meet("run=" + " ".join(words if isinstance(words, list | tuple) else [str(words)]))


def meet(moment: str) -> None:
    """Act where this moment is the chosen one."""
    if not PLAN.exists():
        return
    action, verb, chosen = PLAN.read_text().split(" ", 2)
    if verb in sys.argv and moment.startswith(chosen.strip()):
        act(action)


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
