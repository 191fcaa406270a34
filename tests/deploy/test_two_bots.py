"""Two bots of one project on one server: a token each, and each hands over by itself."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.project import HOST, Project
from tests.deploy.server import Server
from tests.deploy.stores import STREAM, ask_redis
from tests.deploy.telegram import Control, reachable_simulator
from tests.deploy.traffic import EVERY, command
from tests.forks.fork import ROOT
from tests.forks.kinds import make_fork
from tests.processes import TOKEN

pytestmark = pytest.mark.timeout(600)
SHOP_TOKEN = "43:a-token-for-the-shop-of-these-tests"
DONE_WITHIN = 60.0


@pytest.fixture(scope="module")
def telegram() -> Iterator[str]:
    """A simulator for both bots."""
    with reachable_simulator(any_token=True) as url:
        yield url


@pytest.fixture(scope="module")
def project(folder: Path, telegram: str, server: Server) -> Project:
    """A clone of a fork with two bots, with the secrets of both."""
    fork = make_fork("with_two_bots", folder / "fork", ROOT)
    made = Project(folder, telegram, fork.root)
    made.servers["server"] = server
    made.set_secrets()
    made.succeed("secrets", "env=staging", "set=SHOP_BOT_TOKEN", stdin=SHOP_TOKEN)
    return made


class People:
    """Who writes to both bots, and how the bots stand.

    Attributes:
        commands: What was written to the first bot; the shop was asked for its menu as often.
    """

    def __init__(self, control: Control) -> None:
        self._control = control
        self.commands: list[str] = []

    def write(self) -> None:
        """Write once to each bot, in the name of the next of some users."""
        writing = command("two")
        self._control.ask("POST", "/sim/write", {**writing, "token": TOKEN})
        asking = {**writing, "token": SHOP_TOKEN, "text": "/menu"}
        self._control.ask("POST", "/sim/write", asking)
        self.commands.append(writing["text"])

    def bots(self) -> dict[int, dict[str, Any]]:
        """Return how each bot stands, by its number."""
        return {bot["id"]: bot for bot in self._control.ask("GET", "/sim/overview")["bots"]}

    def wait_until_answered(self) -> None:
        """Wait until both bots have confirmed all that was written, and answered it."""
        deadline = time.monotonic() + DONE_WITHIN
        while any(
            bot["pending"] or bot["sent"] < len(self.commands) for bot in self.bots().values()
        ):
            assert time.monotonic() < deadline, self.bots()
            time.sleep(EVERY)


@pytest.fixture(scope="module")
def people(telegram: str) -> Iterator[People]:
    """The people of both bots."""
    with closing(Control(telegram)) as control:
        yield People(control)


def test_each_bot_hands_over_by_itself(project: Project, server: Server, people: People) -> None:
    """Another shop is another container; the first bot goes on polling in its own."""
    people.write()
    project.succeed("deploy", HOST)
    before = server.containers()
    project.new_version("shop_bot", "two")
    with project.start("deploy", HOST) as deploying:
        while deploying.poll() is None:
            people.write()
            time.sleep(EVERY)
        assert deploying.returncode == 0, deploying.communicate()[0]
    people.write()
    people.wait_until_answered()

    after = server.containers()
    assert {name for name in before if before[name] != after[name]} == {"shop_bot"}
    entries = ask_redis(server, f"XRANGE {STREAM} - +")
    stored = Counter(json.loads(fields[1])["data"]["command"] for _, fields in entries)
    assert stored == Counter(people.commands)
    first, shop = people.bots()[42], people.bots()[43]
    assert shop["sent"] == len(people.commands)
    assert first["overlap_count"] == shop["overlap_count"] == 0
