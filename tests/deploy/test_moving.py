"""The data's way from one server to three, and back: who is asked what, and what is undone."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from deploy.agent import moving as on_server
from deploy.agent import verbs
from deploy.agent.cutover import settle
from deploy.agent.host.audit import Audit
from deploy.agent.host.errors import AgentError
from deploy.agent.host.layout import Layout
from deploy.errors import DeployError, MembersError, RemoteError, UnavailableError, UsageError
from deploy.group import members, moving
from deploy.group.group import Group
from deploy.group.releasing import may_begin
from deploy.host import deploying
from tests.deploy.agents import NAMES, Agents, agents, group

__all__ = ["agents"]
Statuses = dict[str, dict[str, Any]]
ALONE: dict[str, Any] = {"current": "r1"}
COPY: dict[str, Any] = {"current": "r3", "leads": [], "saves": False}
LEADS = {**COPY, "leads": ["redis"], "saves": True}
UNFINISHED = {**ALONE, "unfinished": "r2 at 'create'"}


@pytest.mark.parametrize(
    ("statuses", "error", "line"),
    [
        ({}, UsageError, "no server runs anything"),
        ({"a": COPY, "b": COPY, "c": LEADS}, UsageError, "a, b, c run a release for three already"),
        ({"b": ALONE}, UsageError, "runs a release; those are: b$"),
        ({"a": ALONE, "b": ALONE}, UsageError, "those are: a, b$"),
        ({"a": UNFINISHED}, UnavailableError, "a is at something unfinished"),
    ],
)
def test_what_cannot_go_to_three_is_told(
    agents: Agents, statuses: Statuses, error: type[DeployError], line: str
) -> None:
    """In one line, and no server is asked to do anything."""
    seen = group(agents, **statuses)
    with pytest.raises(error, match=line) as caught:
        moving.check_alone(seen, seen.members[0])
    assert "\n" not in str(caught.value)
    assert agents.asked == []


def test_a_deploy_to_three_says_how_the_data_gets_there(agents: Agents) -> None:
    """Where one of them runs a release alone; bringing up three would leave its data behind."""
    with pytest.raises(UnavailableError, match=r"make deploy env=lab moving=b$"):
        may_begin(group(agents, b=ALONE))


@pytest.mark.parametrize(
    ("statuses", "lacks", "error", "line"),
    [
        ({"a": ALONE}, "", UsageError, "no server has copies of the stores"),
        ({"a": COPY, "b": LEADS}, "", UnavailableError, "^c has no copies"),
        (
            {"a": COPY, "b": {**LEADS, "restoring": {"placed": True}}, "c": COPY},
            "",
            UnavailableError,
            "b is at something unfinished",
        ),
        ({"a": COPY, "b": LEADS, "c": COPY}, "redis: …", UnavailableError, "not whole.*redis: …"),
    ],
)
def test_what_cannot_go_to_one_is_told(  # noqa: PLR0913, PLR0917 - a table's columns
    agents: Agents,
    monkeypatch: pytest.MonkeyPatch,
    statuses: Statuses,
    lacks: str,
    error: type[DeployError],
    line: str,
) -> None:
    """In one line, and no server is asked to do anything."""
    monkeypatch.setattr(Group, "lacking", lambda *_, **__: lacks)
    seen = group(agents, **statuses)
    with pytest.raises(error, match=line) as caught:
        moving.check_copies(seen, seen.members[0])
    assert "\n" not in str(caught.value)
    assert agents.asked == []


@pytest.mark.parametrize("words", [("./folder", ""), ("", "b")])
def test_a_move_is_asked_for_alone(words: tuple[str, str]) -> None:
    """It has its data, and wants all three servers."""
    with pytest.raises(UsageError, match="no from=, no without="):
        members.check_moving(*words)


def test_one_server_stops_before_three_have_stores(agents: Agents) -> None:
    """Nobody writes when it is saved, and nothing runs twice on its volumes."""
    seen = group(agents, b=ALONE)
    keeper = seen.members[1]
    moving.to_three(seen, keeper, "r3")
    assert sorted(agents.asked[:2]) == [("a", "part"), ("c", "part")]
    assert agents.asked[2:5] == [("b", "part"), ("b", "save"), ("b", "rest")]
    assert sorted(agents.asked[5:8]) == [(name, "raise") for name in NAMES]
    assert agents.asked[8:] == [("b", "fill")]
    moving.settle(seen, keeper)
    assert agents.asked[9] == ("b", "settle")
    assert sorted(agents.asked[10:]) == [("a", "settle"), ("c", "settle")]


def test_three_servers_stop_before_one_has_stores(agents: Agents) -> None:
    """The one that is written to saves, when nobody writes any more."""
    seen = group(agents, a=LEADS, b=COPY, c=COPY)
    moving.to_one(seen, seen.members[0], "r1")
    assert sorted(agents.asked[:3]) == [(name, "part") for name in NAMES]
    assert agents.asked[3] == ("a", "save")
    assert sorted(agents.asked[4:7]) == [(name, "rest") for name in NAMES]
    assert agents.asked[7:] == [("a", "raise"), ("a", "fill")]


@pytest.mark.parametrize("step", ["part", "save", "rest", "raise", "fill"])
@pytest.mark.parametrize("way", [moving.to_three, moving.to_one])
def test_a_step_that_fails_is_undone(agents: Agents, step: str, way: Any) -> None:
    """On all servers, and why is said; nothing comes after it."""
    agents.failing = {("a", step)}
    seen = group(agents, a=LEADS)
    with pytest.raises((RemoteError, MembersError), match=f"{step} on a"), moving.undone(seen):
        way(seen, seen.members[0], "r")
    assert sorted(agents.asked[-3:]) == [(name, "undo") for name in NAMES]
    assert [verb for _, verb in agents.asked].count("settle") == 0


def test_what_is_not_undone_is_told(agents: Agents) -> None:
    """With what went wrong first, and that the same command goes on."""
    agents.failing = {("a", "fill"), ("c", "undo")}
    seen = group(agents, a=ALONE)
    text = "^fill on a; not all is undone, the same command goes on with it: c: undo on c"
    with pytest.raises(UnavailableError, match=text), moving.undone(seen):
        moving.to_three(seen, seen.members[0], "r")


def noted(release: str, *, settled: bool = False) -> dict[str, Any]:
    """Return what a server has noted of a move of the data of server a."""
    return {"moving": {"keeper": "a", "release": release, "settled": settled}}


@pytest.mark.parametrize(
    ("statuses", "moved"),
    [
        ({"a": {**ALONE, **noted("r3")}, "b": noted("r3")}, False),
        ({"a": {**ALONE, **noted("r3", settled=True)}, "b": noted("r3")}, True),
        ({"a": COPY, "b": noted("r3")}, True),
        ({"a": ALONE, "b": noted("r3")}, False),
        ({"a": {**COPY, **noted("r1")}, "b": {**COPY, **noted("")}}, False),
        ({"a": ALONE, "b": {**COPY, **noted("")}}, True),
        ({"a": COPY, "b": {**COPY, **noted("")}}, False),
    ],
)
def test_a_move_that_has_died_is_undone_until_it_has_settled(
    agents: Agents, statuses: Statuses, moved: object
) -> None:
    """The server with the data decides; where it has noted nothing, by what it runs."""
    seen = group(agents, **statuses)
    assert moving.has_moved(seen) is moved
    assert moving.resume(seen) == 0
    steps = {verb for _, verb in agents.asked}
    three = any(facts.get("moving", {}).get("release") == "r3" for facts in statuses.values())
    assert steps == ({"settle", "begin"} if moved else {"undo"})
    begun = sorted(name for name, verb in agents.asked if verb == "begin")
    assert begun == ((list(NAMES) if three else ["a"]) if moved else [])


@pytest.mark.parametrize("release", ["", "r3"])
def test_nothing_goes_where_the_server_with_the_data_is_lost(agents: Agents, release: str) -> None:
    """The two others may have the only copies, whichever way it went."""
    seen = group(agents, b=noted(release), c=noted(release))
    with pytest.raises(UnavailableError, match=r"^a was to have the data, and has nothing"):
        moving.resume(seen)
    assert agents.asked == []


def test_a_boot_starts_nothing_of_what_moves(tmp_path: Path) -> None:
    """And nothing else does anything to it."""
    layout = Layout(tmp_path)
    layout.state.mkdir()
    facts = {"release": "", "before": "r3", "keeper": "a", "keeps": False}
    lists = {"old": ["id"], "ran": {"id": "always"}, "volumes": [], "stores": []}
    layout.moving.write_text(json.dumps({**facts, **lists}))
    assert verbs.recover(layout, argparse.Namespace(who="boot", once=False)) == 0
    assert "nothing is started" in layout.audit.read_text()
    with pytest.raises(AgentError, match="make deploy moving=a goes on"):
        verbs.running(layout)
    with pytest.raises(AgentError, match="make deploy moving=a goes on"):
        settle.change_to(layout, "r1", "ada", lambda _: None)


def test_a_server_whose_data_has_moved_begins_nothing(tmp_path: Path, agents: Agents) -> None:
    """Its bot would poll beside the other one's."""
    layout = Layout(tmp_path)
    layout.state.mkdir()
    layout.moved.write_text(json.dumps({"to": "a"}))
    with pytest.raises(AgentError, match="has moved to a: take this server out of the inventory"):
        settle.change_to(layout, "r1", "ada", lambda _: None)
    host = group(agents).members[1].host
    moved = {"current": None, "moving": None, "moved": "a"}
    for status, line in (
        (moved, "has moved to a: take b out of"),
        ({**moved, **noted("r1")}, "of b is being moved: make deploy env=lab moving=a"),
    ):
        with pytest.raises(UnavailableError, match=line):
            deploying.check_there(host, status, new=False, dry=True)


@pytest.mark.parametrize("left", ["moving", "journal", "restoring"])
def test_a_server_that_has_something_unfinished_parts_with_nothing(
    tmp_path: Path, left: str
) -> None:
    """A cut-over or a restore is settled first: its containers are no state to go back to."""
    layout = Layout(tmp_path)
    layout.state.mkdir()
    getattr(layout, left).write_text("{}")
    with pytest.raises(AgentError, match="something is unfinished here"):
        on_server.part(layout, argparse.Namespace(), Audit(layout.audit, "ada"))
