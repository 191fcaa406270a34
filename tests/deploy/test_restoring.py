"""A restore on three servers: which server has the backup, in which order they stop and start."""

import json
from pathlib import Path

import pytest

from deploy.agent.data import restore as on_server
from deploy.agent.host.audit import Audit
from deploy.agent.host.errors import AgentError
from deploy.agent.host.layout import Layout
from deploy.agent.host.release import Release
from deploy.errors import MembersError, UsageError
from deploy.group import restoring
from tests.deploy.agents import NAMES, Agents, agents, group

__all__ = ["agents"]

BACKUP = "20260101T030000Z"


def test_a_backup_is_taken_from_whichever_server_keeps_it(agents: Agents) -> None:
    """From the one that leads where that has it too; one that nobody has is told, with those."""
    seen = group(agents, b={"backups": [BACKUP]}, c={"backups": [BACKUP, "20260102T030000Z"]})
    a, b, c = seen.members
    assert restoring.kept_by(seen, BACKUP, a) is b
    assert restoring.kept_by(seen, BACKUP, c) is c
    with pytest.raises(UsageError, match=f"there are: {BACKUP}, 20260102T030000Z$") as caught:
        restoring.kept_by(seen, "20270101T030000Z", a)
    assert "\n" not in str(caught.value)


def test_others_stand_aside_first_and_all_start_afterwards(agents: Agents) -> None:
    """A replica that ran while the primary is replaced would be chosen, with the old data."""
    seen = group(agents)
    assert restoring.replace(seen, seen.members[1], BACKUP) == 0
    assert sorted(agents.asked[:2]) == [("a", "aside"), ("c", "aside")]
    assert agents.asked[2] == ("b", "begin-restore")
    assert sorted(agents.asked[3:]) == [(name, "recover") for name in NAMES]


def test_all_start_again_where_one_does_not_stand_aside(agents: Agents) -> None:
    """Nothing was replaced, and what the other one has stopped runs again."""
    seen = group(agents)
    agents.failing = {("c", "aside")}
    with pytest.raises(MembersError, match=r"^c: aside on c$"):
        restoring.replace(seen, seen.members[0], BACKUP)
    assert ("a", "begin-restore") not in agents.asked
    assert sorted(agents.asked[-3:]) == [(name, "recover") for name in NAMES]


def test_a_deploy_finishes_a_restore_that_has_died(agents: Agents) -> None:
    """The data is in place before any server starts; who has stopped nothing is left alone."""
    aside = {"restoring": {"backup": "", "placed": True}}
    seen = group(agents, a=aside, b={"restoring": {"backup": BACKUP, "placed": False}})
    assert restoring.resume(seen) == 0
    assert agents.asked[0] == ("b", "begin-restore")
    assert sorted(agents.asked[1:]) == [("a", "recover"), ("b", "recover")]


def test_a_restore_that_failed_on_three_starts_nothing_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its services need a second copy of Redis, which the other servers start at the same time."""
    layout, started = Layout(tmp_path), list[dict[str, str]]()
    layout.state.mkdir()
    facts = {"release": "r", "backup": BACKUP, "first": False, "ran": {"id": "always"}}
    layout.restoring.write_text(json.dumps({**facts, "hold": True}))

    def fail(*_: object) -> None:
        raise AgentError("no room")

    monkeypatch.setattr(Layout, "release", lambda *_: tmp_path)
    monkeypatch.setattr(Release, "load", lambda _: None)
    monkeypatch.setattr(on_server, "put", fail)
    monkeypatch.setattr(on_server, "start_stores", lambda _: None)
    monkeypatch.setattr(on_server, "stores", lambda _: [])
    monkeypatch.setattr(on_server, "start", started.append)
    audit = Audit(layout.audit, "ada")
    with pytest.raises(AgentError, match="no room; today's data is in place"):
        on_server.place(layout, audit)
    assert started == []
    assert on_server.finish(layout, audit)
    assert started == [{"id": "always"}]
    assert not layout.restoring.exists()
