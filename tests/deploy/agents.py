"""Three servers of which nothing is there but what their agents would be asked and would say."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy import inventory
from deploy.group.group import Group
from deploy.group.looking import Look
from deploy.group.members import Member
from deploy.ssh.link import Link

NAMES = ("a", "b", "c")


class Agents:
    """What three servers' agents are asked for, in order, and what they answer."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.failing: set[tuple[str, str]] = set()

    def link(self, name: str) -> Link:
        """Return the connection to one of them."""

        def stream(words: Sequence[str], say: Callable[[str], None]) -> int:
            verb = words[words.index("--step") + 1] if "--step" in words else words[2]
            self.asked.append((name, verb))
            say(f"{verb} on {name}")
            return 1 if (name, verb) in self.failing else 0

        host = inventory.read("x", name, {"environment": "lab"})
        done: dict[str, Callable[..., object]] = {
            "install_agent": lambda: None,
            "status": lambda _project: {"moving": {"backup": f"saved by {name}"}},
        }
        made = SimpleNamespace(host=host, agent_stream=stream, **done)
        return cast("Link", made)


@pytest.fixture
def agents(monkeypatch: pytest.MonkeyPatch) -> Agents:
    """Three servers whose locks are free, and whose copies are whole."""
    monkeypatch.setattr(Group, "locks", lambda *_: nullcontext())
    monkeypatch.setattr(Group, "lacking", lambda *_, **__: "")
    return Agents()


def group(agents: Agents, **statuses: dict[str, Any]) -> Group:
    """Return the group of the three, with what was seen of each."""
    members = []
    for name in NAMES:
        link = agents.link(name)
        members.append(Member(link.host, link, lambda _: None))
    seen: dict[str, Any] = {"backups": [], "restoring": None, "unfinished": None}
    seen |= {"current": None, "moving": None}
    looks = {name: Look({**seen, **statuses.get(name, {})}, 0.0, {}) for name in NAMES}
    return Group(members, [], looks, "ada")
