"""Stops or kills the agent on a test server at a chosen moment, from outside its code."""

import subprocess
import time
from pathlib import Path

from tests.deploy.project import HOST, Project
from tests.deploy.server import Server

SOURCE = Path(__file__).with_name("points_on_server.py")
WITHIN = 120.0


class Points:
    """The moments of one server's agent; see `points_on_server` for how they are written."""

    def __init__(self, server: Server) -> None:
        self._server = server
        folder = server.sh("python3 -c 'import site; print(site.getsitepackages()[0])'").strip()
        server.sh(f"mkdir -p {folder} && echo 'import points_on_server' >{folder}/points.pth")
        copy = ("docker", "cp", "--quiet", str(SOURCE), f"{server.id}:{folder}/")
        subprocess.run(copy, check=True, capture_output=True)

    def kill(self, moment: str, verb: str = "cut-over") -> None:
        """Have the agent killed at a moment: `create`, or `switch tg_bot: docker stop`."""
        self._plan(f"kill {verb} {moment}")

    def hold(self, moment: str, verb: str = "cut-over") -> None:
        """Have the agent stopped at a moment, until `go_on`."""
        self._plan(f"hold {verb} {moment}")

    def wait(self) -> None:
        """Return when the chosen moment has been met."""
        deadline = time.monotonic() + WITHIN
        while self._server.succeeds("test -e /run/points"):
            if time.monotonic() > deadline:
                raise AssertionError(f"never met: {self._server.sh('cat /run/points')}")
            time.sleep(0.02)

    def held(self) -> int:
        """Return the process id of the agent that is held, once it is."""
        self.wait()
        deadline = time.monotonic() + WITHIN
        while not self._server.succeeds("grep -q ^State:.T /proc/$(cat /run/points.held)/status"):
            if time.monotonic() > deadline:
                raise AssertionError("the agent is not held")
            time.sleep(0.02)
        return int(self._server.sh("cat /run/points.held"))

    def go_on(self) -> None:
        """Let the agent that is held go on."""
        self._server.sh(f"kill -CONT {self.held()}")

    def _plan(self, text: str) -> None:
        self._server.sh(f"rm -f /run/points.held && echo '{text}' >/run/points")


def deploy_until(
    project: Project, points: Points, moment: str, verb: str = "cut-over"
) -> "subprocess.Popen[str]":
    """Start a deploy; return when the agent that it has started is held at a moment."""
    points.hold(moment, verb)
    process = project.start("deploy", HOST)
    points.held()
    return process
