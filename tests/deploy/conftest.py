"""A test server, a simulator that it can reach, and a clone to deploy from; one for each module."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest

from deploy.release import checkout
from tests.deploy.points import Points
from tests.deploy.project import Project
from tests.deploy.server import Server
from tests.deploy.telegram import reachable_simulator
from tests.deploy.traffic import ROWS, Row, Traffic, measured


@pytest.fixture(scope="session")
def servers_can_be_made() -> None:
    """The images of the test servers and of the stack's own bases."""
    engine = (sys.executable, "-m", "infra.engine", "--server")
    subprocess.run(engine, cwd=checkout.ROOT, check=True)


@pytest.fixture(scope="module")
def telegram() -> Iterator[str]:
    """The address of a simulator that containers on a test server reach, as we do."""
    with reachable_simulator() as url:
        yield url


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder for a module; its path is short, since sockets are in it."""
    with tempfile.TemporaryDirectory(prefix="herald-deploy-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def server(servers_can_be_made: None, folder: Path) -> Iterator[Server]:
    """A server with Docker and nothing else."""
    with Server(folder) as server:
        yield server


@pytest.fixture(scope="module")
def project(folder: Path, telegram: str, server: Server) -> Project:
    """A clone with secrets and the server in its inventory."""
    made = Project(folder, telegram)
    made.servers["server"] = server
    made.inventory()
    made.set_secrets()
    return made


@pytest.fixture(scope="module")
def traffic(telegram: str, server: Server) -> Traffic:
    """The commands that are written to the bot of the server."""
    return Traffic(telegram, server)


@pytest.fixture(scope="module")
def points(server: Server) -> Points:
    """The moments at which the agent on the server can be stopped or killed."""
    return Points(server)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what was measured to the process that prints it, where this one does not."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["rows"] = [astuple(row) for row in ROWS]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what another process has measured; nothing from one that died."""
    ROWS.extend(Row(*row) for row in getattr(node, "workeroutput", {}).get("rows", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured while commands were written."""
    if ROWS:
        terminalreporter.section("deploys under a steady stream of commands")
        for line in measured(ROWS):
            terminalreporter.write_line(line)
