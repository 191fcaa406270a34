"""A release as data, and what of a checkout is fit to become one."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.errors import ConfigError, DataError
from deploy.release import checkout
from deploy.release.release import Release, Sources, make_release
from infra.stack import HostPort, load_plan
from infra.stack.compose.secrets import contents
from infra.stack.plan import Overlay
from infra.stack.rendering import render
from tests.deploy.project import renamed

PLAN = load_plan(checkout.ROOT / "services.yml")
NAMES = ("redis", "postgres", "backend", "tg_bot")
TOKEN = "42:a-token-that-opens-nothing"


@pytest.fixture
def sources() -> Sources:
    """This repository's own stack."""
    return Sources(
        plan=PLAN,
        compose=(checkout.ROOT / "infra/compose.prod.yml").read_text(),
        declaration=(checkout.ROOT / "services.yml").read_text(),
        sha="0123456789abcdef",
        images={name: f"sha256:{index:064x}" for index, name in enumerate(NAMES)},
        settings={"LOG_LEVEL": "DEBUG"},
        secrets=contents(PLAN, {"TELEGRAM_BOT_TOKEN": TOKEN}),
        key="key",
        root="/srv/herald",
        undoing=checkout.with_module(PLAN, "undo"),
    )


def released(sources: Sources) -> Release:
    """Return the release of some sources."""
    return make_release(sources, now="20260101T000000Z", who="ada")


def compose(release: Release) -> dict[str, Any]:
    """Return a release's Compose file."""
    document: dict[str, Any] = yaml.safe_load(release.files["compose.yml"])
    return document


def test_a_release_leaves_nothing_open(sources: Sources) -> None:
    """Images are ids, settings are filled in, and no variable is left to the host."""
    release = released(sources)
    assert release.name == "20260101T000000Z-0123456789ab"
    services = compose(release)["services"]
    assert {name: service["image"] for name, service in services.items()} == dict(sources.images)
    assert services["backend"]["environment"]["LOG_LEVEL"] == "DEBUG"
    assert "${" not in release.files["compose.yml"].decode()


def test_equal_sources_have_equal_contents(sources: Sources) -> None:
    """Another commit or moment alone is no reason to deploy; a setting or a secret is."""
    first = released(sources)
    later = make_release(replace(sources, sha="f" * 40), now="20270101T000000Z", who="bob")
    assert later.content == first.content
    assert released(replace(sources, settings={})).content != first.content
    other = contents(PLAN, {**sources.secrets, "TELEGRAM_BOT_TOKEN": f"{TOKEN}-2"})
    assert released(replace(sources, secrets=other)).content != first.content


def test_a_new_secret_changes_its_readers_and_nobody_else(sources: Sources) -> None:
    """Compose does not notice a changed file: a label does, for those who read it."""
    other = contents(PLAN, {**sources.secrets, "TELEGRAM_BOT_TOKEN": f"{TOKEN}-2"})
    before, after = (
        compose(released(made))["services"] for made in (sources, replace(sources, secrets=other))
    )
    assert [name for name in before if before[name] != after[name]] == ["tg_bot"]


def test_no_secret_is_in_a_release(sources: Sources) -> None:
    """Neither as text nor in the name of its file."""
    release = released(sources)
    for text in sources.secrets.values():
        for content in release.files.values():
            assert text.strip() not in content.decode()
        assert not any(text.strip() in name for name in release.secrets)


def test_an_unknown_setting_is_refused_with_those_that_there_are(sources: Sources) -> None:
    """A misspelt name would otherwise do nothing."""
    with pytest.raises(
        ConfigError, match=r"LOG_LEVL is read by no service; settable are: .*LOG_LEVEL"
    ):
        released(replace(sources, settings={"LOG_LEVL": "DEBUG"}))


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A checkout of its own."""
    folder = tmp_path / "clone"
    subprocess.run(("git", "clone", "--quiet", str(checkout.ROOT), str(folder)), check=True)
    return folder


def test_a_dirty_checkout_is_refused(clone: Path) -> None:
    """What is deployed is a commit; the message names the file and says what to do."""
    assert checkout.commit(clone) == checkout.git(clone, "rev-parse", "HEAD")
    (clone / "README.md").write_text("changed")
    (clone / "left over.txt").touch()
    named = r"dirty \(README.md, .*left over.*\); commit or stash it"
    with pytest.raises(DataError, match=named) as refused:
        checkout.commit(clone)
    assert refused.value.code == 65


def test_a_stack_with_mistakes_is_refused(clone: Path) -> None:
    """With the place of the mistake; what was not rendered anew is refused too."""
    path = clone / "services.yml"
    text = path.read_text()
    path.write_text(text.replace("    egress: true", "    egres: true"))
    with pytest.raises(DataError, match=r"services\.yml:\d+:5: unknown key 'egres'") as refused:
        checkout.load(clone)
    assert refused.value.code == 65
    path.write_text(text.replace("persistence: always", "persistence: everysec"))
    with pytest.raises(DataError, match=r"out of date; run: make sync-services"):
        checkout.load(clone)


def test_only_who_can_undo_an_event_is_asked_to(sources: Sources, tmp_path: Path) -> None:
    """A subscriber without a module for it, such as a new worker, does not fail the smoke test."""
    (tmp_path / "services/backend/src/backend").mkdir(parents=True)
    assert checkout.with_module(PLAN, "undo", tmp_path) == []
    (tmp_path / "services/backend/src/backend/undo.py").touch()
    assert checkout.with_module(PLAN, "undo", tmp_path) == ["backend"]
    test = json.loads(released(sources).files["release.json"])["smoke"]
    assert test["undo"] == {"backend": ["python", "-m", "backend.undo"]}
    nobody = json.loads(released(replace(sources, undoing=())).files["release.json"])["smoke"]
    assert (nobody["groups"], nobody["undo"]) == (["backend"], {})


def test_a_release_tells_where_its_stores_are_and_how_to_ask_them(
    sources: Sources, clone: Path
) -> None:
    """By the names that services.yml gives: of Redis, of PostgreSQL, of the variable with a URL."""
    path = clone / "services.yml"
    path.write_text(renamed(path.read_text()).replace("REDIS_URL:", "EVENTS_URL:"))
    for file in clone.rglob("settings.py"):
        file.write_text(file.read_text().replace("redis_url", "events_url"))
    plan = load_plan(path)
    other = replace(
        sources,
        plan=plan,
        compose=render(plan, clone).texts["infra/compose.prod.yml"],
        images=dict.fromkeys(("events", "store", "backend", "tg_bot"), "sha256:0"),
        secrets=contents(plan, {"TELEGRAM_BOT_TOKEN": TOKEN}),
    )
    facts = json.loads(released(other).files["release.json"])
    assert facts["redis"] == {
        "service": "events",
        "operator": "operator",
        "password": "/run/secrets/EVENTS_OPERATOR_PASSWORD",
        "folder": "/data",
        "user": "999:999",
    }
    assert facts["services"]["store"]["data"] == "postgres"
    assert facts["streams"]["command_received"] == ["backend"]
    assert facts["smoke"]["redis"] == "events"
    assert 'os.environ.get("EVENTS_URL_FILE")' in facts["smoke"]["code"]


def test_data_stores_are_never_run_side_by_side(sources: Sources) -> None:
    """Two servers on one volume would destroy it; what waits for them comes later."""
    services = json.loads(released(sources).files["release.json"])["services"]
    assert {name: service["handover"] for name, service in services.items()} == {
        "redis": "replace",
        "postgres": "replace",
        "backend": "overlap",
        "tg_bot": "overlap",
    }
    assert list(services) == ["redis", "postgres", "backend", "tg_bot"]


def handover(sources: Sources, published: Mapping[Overlay, tuple[HostPort, ...]]) -> str:
    """Return how the backend changes hands when it has these ports of the host."""
    services = tuple(
        replace(service, published=published) if service.name == "backend" else service
        for service in PLAN.services
    )
    release = released(replace(sources, plan=replace(PLAN, services=services)))
    return str(json.loads(release.files["release.json"])["services"]["backend"]["handover"])


def test_a_port_of_the_host_has_one_owner_at_a_time(sources: Sources) -> None:
    """The old container lets go of it before the new one starts; any free port is no matter."""
    assert handover(sources, {"prod": (HostPort(80, 8000),)}) == "replace"
    assert handover(sources, {"prod": (HostPort(0, 8000),)}) == "overlap"
    assert handover(sources, {"dev": (HostPort(80, 8000),)}) == "overlap"
