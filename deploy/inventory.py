"""Which hosts there are: pyinfra's own inventory files, and what their data means.

    deploy/inventories/<environment>.py              hosts = [("name", {"ssh_hostname": …}), …]
    deploy/inventories/group_data/all.py             data of every host
    deploy/inventories/group_data/<environment>.py   data of one environment's hosts

HERALD_INVENTORIES names another folder that has inventories/ in it.
"""

import ipaddress
import os
import re
import runpy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyinfra.api.host import Host as PyinfraHost

from deploy.agent.data.backup import KEEP
from deploy.errors import ConfigError, UsageError
from deploy.server.scheduled import EVERY

FOLDER = Path(__file__).resolve().parent
# What a shell, a unit of systemd and a line of cron all read as one plain word.
ROOT = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+", re.ASCII)
KNOWN = {
    *("ssh_hostname", "ssh_port", "ssh_user", "ssh_key", "ssh_known_hosts_file"),
    *("root", "settings", "deploy_user", "firewall_ports", "swap_megabytes", "bootstrap_user"),
    *("backup_every", "backup_keep", "environment", "private_address"),
}
GROUPS = {"all", "hosts"}
"""Groups that pyinfra makes of every inventory, besides the one of the file's name."""


@dataclass(frozen=True)
class Host:
    """One server.

    Attributes:
        name: What people call it.
        environment: Its inventory.
        address: Where sshd listens.
        user: Who deploys there: root, or someone with passwordless sudo.
        key: The private key's file; empty for whatever ssh finds.
        known_hosts: Where its host key is remembered; empty for ssh's own file.
        root: The project's folder there.
        settings: Variables of services.yml that are no secrets, TELEGRAM_API_URL for example.
        data: Everything that the inventory says.
        private_address: Where the other servers of its environment reach its stores; empty where
            it has no others.
    """

    name: str
    environment: str
    address: str
    port: int = 22
    user: str = "deploy"
    key: str = ""
    known_hosts: str = ""
    root: str = "/srv/herald"
    settings: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    private_address: str = ""


def expanded(text: str) -> Path:
    """Return a path of this machine; `~` and `~user` are the home folder, as in a shell.

    Raises:
        ConfigError: There is no such user.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ConfigError(f"{text}: no user of this machine has that home folder") from None


def folder() -> Path:
    """Return the folder with inventories/."""
    return expanded(os.environ.get("HERALD_INVENTORIES") or str(FOLDER))


def environments() -> list[str]:
    """Return the environments that have an inventory."""
    return sorted(path.stem for path in (folder() / "inventories").glob("*.py"))


def choose(host: str, environment: str) -> list[Host]:
    """Return the hosts that the command line names.

    Raises:
        UsageError: It names none, or one that no inventory has.
        ConfigError: An inventory is wrong.
    """
    if not host and not environment:
        known = ", ".join(member.name for name in environments() for member in load(name)) or "none"
        raise UsageError(
            f"say where: host=NAME or env=NAME; hosts: {known}; "
            f"environments: {', '.join(environments()) or 'none'}"
        )
    if environment and environment not in environments():
        known = ", ".join(environments()) or "none"
        raise UsageError(f"no environment is called {environment!r}; there are: {known}")
    searched = [environment] if environment else environments()
    hosts = [member for name in searched for member in load(name)]
    chosen = [member for member in hosts if member.name == host] if host else hosts
    if not chosen:
        known = ", ".join(member.name for member in hosts) or "none"
        raise UsageError(f"no host is called {host or environment!r}; there are: {known}")
    if host and len(chosen) > 1:
        known = ", ".join(member.environment for member in chosen)
        raise UsageError(f"several hosts are called {host!r}: say env=NAME too; there are: {known}")
    return chosen


def load(environment: str) -> list[Host]:
    """Return the hosts of one inventory, group data filled in."""
    path = folder() / "inventories" / f"{environment}.py"
    entries = _variables(path).get("hosts")
    if not isinstance(entries, list):
        raise ConfigError(f"{path} has no list called hosts")
    common: dict[str, Any] = {}
    for group in ("all", environment):
        file = path.parent / "group_data" / f"{group}.py"
        if file.is_file():
            common |= _variables(file)
    return [_host(path, environment, entry, common) for entry in entries]


def _variables(path: Path) -> dict[str, Any]:
    try:
        variables = runpy.run_path(str(path))
    except Exception as error:  # noqa: BLE001 - an inventory is a program and may raise anything
        raise ConfigError(f"{path}: {type(error).__name__}: {error}") from None
    return {name: value for name, value in variables.items() if not name.startswith("_")}


def _file(data: Mapping[str, Any], name: str) -> str:
    return str(expanded(data[name])) if data.get(name) else ""


def _is_port(value: object) -> bool:
    return isinstance(value, int) and 0 < value < 1 << 16


def _is_private(value: object) -> bool:
    try:
        address = ipaddress.IPv4Address(value) if isinstance(value, str) else None
    except ValueError:
        return False
    return address is not None and not (
        address.is_loopback or address.is_unspecified or address.is_multicast
    )


def _host(path: Path, environment: str, entry: object, common: Mapping[str, Any]) -> Host:
    name, own = entry if isinstance(entry, tuple) and len(entry) == 2 else (entry, {})  # noqa: PLR2004 - name and data
    if not isinstance(name, str) or not isinstance(own, dict):
        raise ConfigError(f'{path}: a host is "name" or ("name", {{…}}), not {entry!r}')
    if name in {*GROUPS, environment}:
        raise ConfigError(
            f"{path}: host {name} is called like a group, and pyinfra's --limit {name} would mean "
            f"all hosts; call it {name}-1"
        )
    data = {**common, **own}
    if unknown := sorted(set(data) - KNOWN):
        raise ConfigError(
            f"{path}: host {name} has {unknown[0]!r}; known are: {', '.join(sorted(KNOWN))}"
        )
    return read(str(path), name, {"environment": environment, **data})


def of(host: PyinfraHost) -> Host:
    """Return one of pyinfra's hosts as we know it; other data than ours is ignored.

    Who deploys is whom the inventory names, though somebody else may be logged in the first time.

    Raises:
        ConfigError: Its data says something that cannot be.
    """
    members = host.inventory
    said: dict[str, Any] = {
        **members.get_data(),  # type: ignore[no-untyped-call] # pyinfra's
        **members.get_groups_data(host.groups),  # type: ignore[no-untyped-call]
        **members.get_host_data(host.name),
    }
    data = {name: host.data.get(name) for name in KNOWN if host.data.get(name) is not None}
    data |= {"ssh_user": said["ssh_user"]} if "ssh_user" in said else {}
    known = environments()
    data.setdefault("environment", next((name for name in host.groups if name in known), ""))
    return read("the inventory", host.name, data)


def private_addresses(host: PyinfraHost) -> tuple[str, ...]:
    """Return the private addresses of all servers of a host's environment.

    Raises:
        ConfigError: One of them says something that cannot be.
    """
    own = of(host)
    there = load(own.environment) if own.environment in environments() else map(of, host.inventory)
    addresses = {member.private_address for member in there} | {own.private_address}
    return tuple(sorted(addresses - {""}))


def read(source: str, name: str, data: Mapping[str, Any]) -> Host:
    """Return a host of what an inventory says about it; `source` is where that stands.

    Raises:
        ConfigError: It says something that cannot be.
    """
    ports = data.get("firewall_ports", [])
    if not isinstance(ports, list | tuple) or not all(_is_port(port) for port in ports):
        raise ConfigError(f"{source}: firewall_ports of {name} is {ports!r}, not a list of ports")
    every, keep = data.get("backup_every", ""), data.get("backup_keep", KEEP)
    if every not in {"", *EVERY}:
        raise ConfigError(f"{source}: backup_every of {name} is {every!r}, not {', '.join(EVERY)}")
    if not isinstance(keep, int) or keep < 1:
        raise ConfigError(f"{source}: backup_keep of {name} is {keep!r}, not a number from 1 on")
    private = data.get("private_address", "")
    if private != "" and not _is_private(private):
        raise ConfigError(
            f"{source}: private_address of {name} is {private!r}, not an IPv4 address of its own"
        )
    root = data.get("root", "/srv/herald")
    if not isinstance(root, str) or not ROOT.fullmatch(root):
        raise ConfigError(
            f"{source}: root of {name} is {root!r}, not an absolute path on the server"
        )
    return Host(
        name=name,
        environment=data.get("environment", ""),
        address=data.get("ssh_hostname", name),
        port=int(data.get("ssh_port", 22)),
        user=data.get("ssh_user", "deploy"),
        key=_file(data, "ssh_key"),
        known_hosts=_file(data, "ssh_known_hosts_file"),
        root=root,
        settings={key: str(value) for key, value in data.get("settings", {}).items()},
        data=data,
        private_address=private,
    )
