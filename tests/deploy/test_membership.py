"""What three servers that share their stores are told, and which inventories cannot be such."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from deploy import inventory
from deploy.agent import verbs
from deploy.agent.copies import copies
from deploy.agent.copies.copies import ETCD, PATRONI, Copies
from deploy.agent.host.errors import AgentError
from deploy.agent.host.layout import Layout
from deploy.agent.host.release import Release as AgentRelease
from deploy.errors import (
    ConfigError,
    DataError,
    DeployError,
    MembersError,
    UnavailableError,
    UsageError,
)
from deploy.group import members
from deploy.group.looking import Look, check_alike
from deploy.release.membership import Membership
from deploy.release.release import Release, Sources, make_release
from deploy.server import firewall
from infra.stack import load_plan
from infra.stack.compose.secrets import contents
from infra.stack.examples import EXAMPLES

EXAMPLE = EXAMPLES / "bot_on_three_servers"
PLAN = load_plan(EXAMPLE / "services.yml")
ADDRESSES = ("10.0.0.1", "10.0.0.2", "10.0.0.3")
BUILT = ("redis", "postgres", "bot", "orders")


def released(own: str, founder: str = "", settings: Mapping[str, str] | None = None) -> Release:
    """Return the release of the example for one of its servers."""
    built = {name: f"sha256:{index:064x}" for index, name in enumerate(BUILT)}
    built |= {"redis_sentinel": built["redis"], "postgres_etcd": built["postgres"]}
    sources = Sources(
        plan=PLAN,
        compose=(EXAMPLE / "infra/compose.prod.yml").read_text(),
        declaration=(EXAMPLE / "services.yml").read_text(),
        sha="0123456789abcdef",
        images=built,
        settings=settings or {},
        secrets=contents(PLAN, {"TELEGRAM_BOT_TOKEN": "42:a-token-that-opens-nothing"}),
        key="key",
        root="/srv/herald",
        undoing=(),
        membership=Membership(own, ADDRESSES, founder),
    )
    return make_release(sources, now="20260101T000000Z", who="ada")


def facts(release: Release) -> dict[str, Any]:
    """Return what a release says of itself."""
    said: dict[str, Any] = json.loads(release.files["release.json"])
    return said


def test_a_member_is_told_who_it_is_and_who_the_others_are() -> None:
    """In the Compose file, of which nothing is left open, and in what the agent reads."""
    release = released(ADDRESSES[1])
    text = release.files["compose.yml"].decode()
    assert "${" not in text
    services = yaml.safe_load(text)["services"]
    assert services["redis"]["environment"] == {
        "NAME": "redis",
        "MEMBER": "10.0.0.2",
        "MEMBERS": "10.0.0.1 10.0.0.2 10.0.0.3",
        "FOUNDER": "",
    }
    assert services["bot"]["extra_hosts"][2] == "server-3:10.0.0.3"
    assert facts(release)["copies"] == {
        "member": "10.0.0.2",
        "members": list(ADDRESSES),
        "redis": {"service": "redis", "beside": "redis_sentinel"},
        "postgres": {
            "service": "postgres",
            "beside": "postgres_etcd",
            "password": "POSTGRES_COPIES_PASSWORD",
            "login": "/run/secrets/POSTGRES_PASSWORD",
        },
    }
    copies = {name for name, service in facts(release)["services"].items() if service.get("copy")}
    assert copies == {"redis", "redis_sentinel", "postgres", "postgres_etcd"}


def test_who_begins_makes_no_other_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deploy after the first finds that all runs just so; another server is another one."""
    monkeypatch.setattr("infra.stack.compose.secrets.secrets.token_urlsafe", lambda _: "x" * 20)
    begun, later = released(ADDRESSES[0], founder=ADDRESSES[0]), released(ADDRESSES[0])
    assert begun.files["compose.yml"] != later.files["compose.yml"]
    assert begun.content == later.content
    assert released(ADDRESSES[1]).content != later.content


def test_who_a_server_is_cannot_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inventory's private addresses say it; a setting of that name would be lost."""
    monkeypatch.setattr("infra.stack.compose.secrets.secrets.token_urlsafe", lambda _: "x" * 20)
    with pytest.raises(ConfigError, match="setting MEMBER is read by no service"):
        released(ADDRESSES[0], settings={"MEMBER": "10.0.0.9"})


@pytest.mark.parametrize(
    ("private", "line"),
    [
        (["10.0.0.1", "10.0.0.2"], r"copies: 3, and .*lab\.py has 2 hosts: write 3 hosts"),
        (["10.0.0.1"], r"has 1 host: write 3 hosts"),
        (["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"], r"has 4 hosts"),
        (
            ["10.0.0.1", "", "10.0.0.3"],
            r"h1 has no private_address in .*lab\.py: write the address",
        ),
        (
            ["10.0.0.1", "10.0.0.2", "10.0.0.1"],
            r"h0 and h2 have the same private_address, 10\.0\.0\.1",
        ),
    ],
)
def test_hosts_that_cannot_have_copies_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, private: list[str], line: str
) -> None:
    """One line says what to write, before any server is asked."""
    monkeypatch.setenv("HERALD_INVENTORIES", str(tmp_path))
    (tmp_path / "inventories").mkdir()
    data = [{"private_address": address} if address else {} for address in private]
    hosts = [(f"h{place}", own) for place, own in enumerate(data)]
    (tmp_path / "inventories/lab.py").write_text(f"hosts = {hosts!r}\n")
    with pytest.raises(ConfigError, match=line) as caught:
        members.check(PLAN, inventory.load("lab"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("address", ["10.0.0", "server-1", "127.0.0.1", "::1", 5, "0.0.0.0"])  # noqa: S104
def test_a_private_address_is_an_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: object
) -> None:
    """It stands in the firewall, and the stores bind to it."""
    monkeypatch.setenv("HERALD_INVENTORIES", str(tmp_path))
    (tmp_path / "inventories").mkdir()
    hosts = [("a", {"private_address": address})]
    (tmp_path / "inventories/lab.py").write_text(f"hosts = {hosts!r}\n")
    with pytest.raises(ConfigError, match=r"private_address of a is .*, not an IPv4 address"):
        inventory.load("lab")


def test_one_of_three_is_not_changed_alone() -> None:
    """Servers that share their stores are deployed to as one."""
    hosts = [inventory.read("x", name, {"environment": "lab"}) for name in ("a", "b", "c")]
    members.check_all_chosen(hosts, {"a", "b", "c"})
    with pytest.raises(UsageError, match=r"a, b, c share their stores, .*env=lab"):
        members.check_all_chosen(hosts, {"b"})


def test_without_is_for_servers_that_share() -> None:
    """One server alone has nobody to go on with."""
    members.check_alone("")
    with pytest.raises(UsageError, match="without= is for three servers"):
        members.check_alone("a")


@pytest.mark.parametrize(
    ("clocks", "versions", "line"),
    [
        (
            (0.0, 6.0, 0.5),
            ("26.1.5", "26.1.5", "26.0.0"),
            "the clock of b is 6 s ahead of that of a",
        ),
        (
            (0.0, 1.0, -4.5),
            ("26.1.5", "26.1.5", "26.0.0"),
            "the clock of b is 6 s ahead of that of c",
        ),
        ((0.0, 1.0, 0.0), ("26.1.5", "27.1.0", "26.0.0"), "Docker differs: a 26.1.5, b 27.1.0"),
        ((0.0, 2.0, -2.0), ("26.1.5", "26.0.0", "26.1.5"), ""),
    ],
)
def test_servers_that_differ_are_told(
    clocks: tuple[float, ...], versions: tuple[str, ...], line: str
) -> None:
    """Clocks that are apart and Dockers of other major versions; what is near enough is not."""
    looks = {
        name: Look({}, clock, {"docker": version})
        for name, clock, version in zip("abc", clocks, versions, strict=True)
    }
    if not line:
        check_alike(looks)
        return
    with pytest.raises(UnavailableError, match=line) as caught:
        check_alike(looks)
    assert "\n" not in str(caught.value)


def test_the_firewall_of_one_server_is_as_it_was() -> None:
    """Nothing of members is in it; that of a member names the others and the ports."""
    alone = firewall.program((443,), (22,))
    assert "stores" not in alone
    text = firewall.program((443,), (22,), ADDRESSES[0], ADDRESSES)
    assert "for member in 10.0.0.2 10.0.0.3; do" in text
    assert "--dports 6379,26379,5432,8008,2379,2380" in text
    before, _, behind = alone.partition("    echo '-A HERALD-INPUT -j DROP'")
    assert text.startswith(before)
    assert text.endswith(behind)


def test_errors_of_several_servers_keep_their_codes() -> None:
    """Each is said with its server; the worst is how the deploy ends."""
    errors: list[tuple[str, DeployError]] = [("a", DataError("x")), ("b", UnavailableError("y"))]
    error = MembersError(errors)
    assert (error.code, str(error)) == (69, "a: x; b: y")


def test_who_has_lost_power_does_not_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patroni goes on naming it until its lock is too old, and the others as its copies."""
    copy = {"role": "quorum_standby", "state": "streaming"}
    said = [{"name": ADDRESSES[0], "role": "leader", "state": "running"}]
    said += [{"name": address, **copy} for address in ADDRESSES[1:]]
    answers = {PATRONI: {"members": said}, ETCD: {"health": "true"}}
    monkeypatch.setattr(copies, "get", lambda url: answers[urlsplit(url).port or 0])
    assert list(copies.postgres_lacks(list(ADDRESSES))) == []
    assert list(copies.postgres_lacks(list(ADDRESSES[1:]))) == ["postgres: no server leads"]


@pytest.mark.parametrize(
    ("named", "saves"),
    [
        ((ADDRESSES[0],) * 3, True),
        ((ADDRESSES[1],) * 3, False),
        (("", ADDRESSES[1], ADDRESSES[1]), False),
        (("", "", ADDRESSES[0]), True),
        (("", "", ""), None),
    ],
)
def test_a_backup_is_somebodys(
    named: tuple[str, ...], saves: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where this server's Sentinel is silent the others say whose; if all are, none may shrug."""
    answers = dict(zip(ADDRESSES, named, strict=True))

    def sentinel(_release: AgentRelease, member: str, *_words: str) -> list[str] | None:
        return [answers[member], "6379"] if answers[member] else None

    monkeypatch.setattr(copies, "sentinel", sentinel)
    own = Copies(
        AgentRelease.__new__(AgentRelease), ADDRESSES[0], ADDRESSES, "redis", postgres=True
    )
    assert own.saves() is saves


def test_a_backup_that_is_nobodys_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not end well, and the log of what happened has it, as a failed one's."""
    layout = Layout(tmp_path)
    layout.state.mkdir(parents=True)
    silent = Copies(
        AgentRelease.__new__(AgentRelease), ADDRESSES[0], ADDRESSES, "redis", postgres=True
    )
    monkeypatch.setattr(verbs, "running", lambda _layout: silent.release)
    monkeypatch.setattr(Copies, "of", lambda _release: silent)
    monkeypatch.setattr(copies, "sentinel", lambda *_words: None)
    with pytest.raises(AgentError, match="nobody says which server leads"):
        verbs.save(layout, argparse.Namespace(dry=False, who="clock", wait=0.0))
    assert "nobody says which server leads" in layout.audit.read_text()
