"""A release as data, the inventory, the vault and the command line."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import cli, commands, inventory
from deploy.errors import ConfigError, DataError, UsageError
from deploy.inventory import Host
from deploy.release import checkout, vault
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
        forgetful=checkout.with_module(PLAN, "forget"),
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
    (clone / "left over.txt").touch()
    with pytest.raises(DataError, match=r"dirty \(.*left over.*\); commit or stash it") as refused:
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
    assert checkout.with_module(PLAN, "forget", tmp_path) == []
    (tmp_path / "services/backend/src/backend/forget.py").touch()
    assert checkout.with_module(PLAN, "forget", tmp_path) == ["backend"]
    test = json.loads(released(sources).files["release.json"])["smoke"]
    assert test["forget"] == {"backend": ["python", "-m", "backend.forget"]}
    nobody = json.loads(released(replace(sources, forgetful=())).files["release.json"])["smoke"]
    assert (nobody["groups"], nobody["forget"]) == (["backend"], {})


def test_a_release_tells_where_its_stores_are_and_how_to_ask_them(
    sources: Sources, clone: Path
) -> None:
    """By the names that services.yml gives: of Redis, of PostgreSQL, of the variable with a URL."""
    path = clone / "services.yml"
    path.write_text(renamed(path.read_text()).replace("REDIS_URL:", "EVENTS_URL:"))
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


@pytest.fixture
def inventories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one inventory and group data."""
    (tmp_path / "inventories").mkdir()
    (tmp_path / "group_data").mkdir()
    (tmp_path / "inventories/lab.py").write_text('hosts = [("a", {"ssh_port": 23}), "b"]\n')
    (tmp_path / "group_data/all.py").write_text('ssh_user = "ada"\nroot = "/srv/x"\n')
    monkeypatch.setenv("HERALD_INVENTORIES", str(tmp_path))
    return tmp_path


def test_a_host_has_the_data_of_its_groups(inventories: Path) -> None:
    """Its own wins, then its environment's, then everybody's."""
    (inventories / "group_data/lab.py").write_text('root = "/srv/y"\n')
    first, second = inventory.choose("", "lab")
    assert (first.name, first.port, first.user, first.root) == ("a", 23, "ada", "/srv/y")
    assert (second.name, second.port, second.address) == ("b", 22, "b")


@pytest.mark.parametrize(
    ("host", "environment", "output"),
    [
        ("", "", "host=NAME or env=NAME; hosts: a, b"),
        ("c", "", "no host is called 'c'; there are: a, b"),
        ("", "moon", "no environment is called 'moon'; there are: lab"),
    ],
)
def test_an_unknown_place_is_refused(
    inventories: Path, host: str, environment: str, output: str
) -> None:
    """With the names that there are."""
    with pytest.raises(UsageError, match=output):
        inventory.choose(host, environment)


def test_a_misspelt_field_of_a_host_is_refused(inventories: Path) -> None:
    """It would otherwise do nothing."""
    (inventories / "inventories/lab.py").write_text('hosts = [("a", {"ssh_prot": 23})]\n')
    with pytest.raises(ConfigError, match="'ssh_prot'; known are"):
        inventory.load("lab")


def test_a_home_folder_is_found_in_every_path(
    inventories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the shell would, which does not see inventories nor what stands behind a `=`."""
    monkeypatch.setenv("HOME", str(inventories))
    file = inventories / "inventories/lab.py"
    file.write_text('hosts = [("a", {"ssh_key": "~/id", "ssh_known_hosts_file": "~/known"})]\n')
    (host,) = inventory.choose("a", "")
    assert (host.key, host.known_hosts) == (f"{inventories}/id", f"{inventories}/known")
    monkeypatch.setenv("HERALD_AGE_KEY", "~/age.key")
    monkeypatch.setenv("HERALD_SECRETS", "~/vault")
    assert (vault.key_file(), vault.folder()) == (inventories / "age.key", inventories / "vault")
    monkeypatch.setenv("HERALD_INVENTORIES", "~")
    assert inventory.choose("a", "") == [host]
    file.write_text('hosts = [("a", {"ssh_key": "~nobody-of-that-name/id"})]\n')
    with pytest.raises(ConfigError, match="no user of this machine"):
        inventory.choose("a", "")


@pytest.mark.parametrize(
    "root", ["~/herald", "herald", "/", "/srv/../etc", "/srv/a b", "/srv/x\n", 5]
)
def test_a_root_is_a_plain_absolute_path(inventories: Path, root: object) -> None:
    """It stands in units, in cron's lines and in shell text on the server."""
    (inventories / "inventories/lab.py").write_text(f'hosts = [("a", {{"root": {root!r}}})]\n')
    with pytest.raises(ConfigError, match="not an absolute path"):
        inventory.choose("a", "")


@pytest.mark.parametrize("ports", [["80"], 80, [0], [65536], ["22; rm -rf /"]])
def test_ports_are_numbers(inventories: Path, ports: object) -> None:
    """They stand in a program that the server's root runs."""
    text = f'hosts = [("a", {{"firewall_ports": {ports!r}}})]\n'
    (inventories / "inventories/lab.py").write_text(text)
    with pytest.raises(ConfigError, match="not a list of ports"):
        inventory.choose("a", "")


def test_secrets_are_read_back_with_the_key_and_by_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file on disk is encrypted, the key is 0600, and another key gets a clear refusal."""
    monkeypatch.setenv("HERALD_SECRETS", str(tmp_path / "vault"))
    monkeypatch.setenv("HERALD_AGE_KEY", str(tmp_path / "age.key"))
    assert vault.ensure_key()
    assert (tmp_path / "age.key").stat().st_mode & 0o777 == 0o600
    secrets = vault.put(PLAN, vault.fill(PLAN, {}), "TELEGRAM_BOT_TOKEN", TOKEN)
    assert TOKEN.encode() not in vault.save("lab", secrets).read_bytes()
    assert vault.load("lab") == secrets
    assert vault.missing(PLAN, secrets) == []
    monkeypatch.setenv("HERALD_AGE_KEY", str(tmp_path / "other.key"))
    vault.ensure_key()
    with pytest.raises(ConfigError, match="is not encrypted for the key in"):
        vault.load("lab")


def test_a_missing_secret_is_named_with_the_command_that_sets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any host is asked."""
    monkeypatch.setenv("HERALD_SECRETS", str(tmp_path))
    with pytest.raises(ConfigError, match="make secrets env=lab set=TELEGRAM_BOT_TOKEN"):
        vault.complete(PLAN, "lab")


@pytest.mark.parametrize(
    ("words", "output"),
    [
        ((), "no verb"),
        (("fly",), "no verb is called 'fly'"),
        (("status", "dry=1"), "status does not take 'dry=1'"),
        (("deploy", "staging"), "deploy does not take 'staging'"),
        (("deploy", "dry=yes"), "dry is 1 or 0, not 'yes'"),
    ],
)
def test_a_wrong_call_is_answered_with_help(
    words: tuple[str, ...], output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And with exit code 64."""
    assert cli.main(words) == 64
    assert output in capsys.readouterr().err


def test_every_verb_is_in_the_help_and_in_the_makefile() -> None:
    """What cannot be found is not there."""
    makefile = (checkout.ROOT / "Makefile").read_text()
    for name in cli.VERBS:
        assert f"  {name}" in cli.usage()
        assert f"\n{name}: ##" in makefile


def test_root_is_asked_for_only_where_we_are_not_root() -> None:
    """Arguments are quoted for the remote shell in both cases."""
    host = Host("a", "lab", "a", user="deploy")
    assert commands.sudo(host, "echo", "a b") == "sudo -n echo 'a b'"
    assert commands.sudo(replace(host, user="root"), "echo", "a b") == "echo 'a b'"
    assert commands.ssh(host, "true")[-2:] == ["a", "true"]
