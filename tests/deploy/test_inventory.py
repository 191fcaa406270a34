"""What is known of hosts and of secrets before any host is asked."""

from pathlib import Path

import pytest

from deploy import inventory
from deploy.errors import ConfigError, UsageError
from deploy.release import checkout, vault
from infra.stack import load_plan

PLAN = load_plan(checkout.ROOT / "services.yml")
TOKEN = "42:a-token-that-opens-nothing"


@pytest.fixture
def inventories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one inventory and group data."""
    (tmp_path / "inventories/group_data").mkdir(parents=True)
    (tmp_path / "inventories/lab.py").write_text('hosts = [("a", {"ssh_port": 23}), "b"]\n')
    (tmp_path / "inventories/group_data/all.py").write_text('ssh_user = "ada"\nroot = "/srv/x"\n')
    monkeypatch.setenv("HERALD_INVENTORIES", str(tmp_path))
    return tmp_path


def test_a_host_has_the_data_of_its_groups(inventories: Path) -> None:
    """Its own wins, then its environment's, then everybody's."""
    (inventories / "inventories/group_data/lab.py").write_text('root = "/srv/y"\n')
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


@pytest.mark.parametrize("name", ["lab", "hosts", "all"])
def test_a_host_that_is_called_like_a_group_is_refused(inventories: Path, name: str) -> None:
    """Pyinfra's --limit asks groups before hosts: it would mean all of them."""
    (inventories / "inventories/lab.py").write_text(f'hosts = ["a", "{name}"]\n')
    with pytest.raises(ConfigError, match=f"call it {name}-1"):
        inventory.load("lab")


def test_a_host_of_two_environments_is_chosen_by_both_names(inventories: Path) -> None:
    """One run of pyinfra's has each name once."""
    (inventories / "inventories/moon.py").write_text('hosts = ["a"]\n')
    with pytest.raises(UsageError, match=r"several hosts are called 'a': say env=NAME too"):
        inventory.choose("a", "")
    (host,) = inventory.choose("a", "moon")
    assert host.environment == "moon"


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
