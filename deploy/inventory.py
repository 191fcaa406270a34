"""Which hosts there are: pyinfra's own inventory files, read without pyinfra.

    deploy/inventories/<environment>.py   hosts = [("name", {"ssh_hostname": …}), …]
    deploy/group_data/all.py              data of every host
    deploy/group_data/<environment>.py    data of one environment's hosts

HERALD_INVENTORIES names another folder that has inventories/ and group_data/ in it.
"""

import os
import re
import runpy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.agent.data.backup import KEEP
from deploy.errors import ConfigError, UsageError
from deploy.server.scheduled import EVERY

FOLDER = Path(__file__).resolve().parent
# What a shell, a unit of systemd and a line of cron all read as one plain word.
ROOT = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+", re.ASCII)
KNOWN = {
    *("ssh_hostname", "ssh_port", "ssh_user", "ssh_key", "ssh_known_hosts_file"),
    *("root", "settings", "deploy_user", "firewall_ports", "swap_megabytes", "bootstrap_user"),
    *("backup_every", "backup_keep"),
}


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
    """Return the folder with inventories/ and group_data/."""
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
        known = ", ".join(one.name for name in environments() for one in load(name)) or "none"
        raise UsageError(
            f"say where: host=NAME or env=NAME; hosts: {known}; "
            f"environments: {', '.join(environments()) or 'none'}"
        )
    if environment and environment not in environments():
        known = ", ".join(environments()) or "none"
        raise UsageError(f"no environment is called {environment!r}; there are: {known}")
    searched = [environment] if environment else environments()
    hosts = [one for name in searched for one in load(name)]
    chosen = [one for one in hosts if one.name == host] if host else hosts
    if not chosen:
        known = ", ".join(one.name for one in hosts) or "none"
        raise UsageError(f"no host is called {host or environment!r}; there are: {known}")
    return chosen


def load(environment: str) -> list[Host]:
    """Return the hosts of one inventory, group data filled in."""
    path = folder() / "inventories" / f"{environment}.py"
    entries = _variables(path).get("hosts")
    if not isinstance(entries, list):
        raise ConfigError(f"{path} has no list called hosts")
    common: dict[str, Any] = {}
    for group in ("all", environment):
        file = folder() / "group_data" / f"{group}.py"
        if file.is_file():
            common |= _variables(file)
    return [_host(path, environment, entry, common) for entry in entries]


def _variables(path: Path) -> dict[str, Any]:
    try:
        found = runpy.run_path(str(path))
    except Exception as error:  # noqa: BLE001 - an inventory is a program and may raise anything
        raise ConfigError(f"{path}: {type(error).__name__}: {error}") from None
    return {name: value for name, value in found.items() if not name.startswith("_")}


def _file(data: Mapping[str, Any], name: str) -> str:
    return str(expanded(data[name])) if data.get(name) else ""


def _is_port(value: object) -> bool:
    return isinstance(value, int) and 0 < value < 1 << 16


def _host(path: Path, environment: str, entry: object, common: Mapping[str, Any]) -> Host:
    name, own = entry if isinstance(entry, tuple) and len(entry) == 2 else (entry, {})  # noqa: PLR2004 - name and data
    if not isinstance(name, str) or not isinstance(own, dict):
        raise ConfigError(f'{path}: a host is "name" or ("name", {{…}}), not {entry!r}')
    data = {**common, **own}
    if unknown := sorted(set(data) - KNOWN):
        raise ConfigError(
            f"{path}: host {name} has {unknown[0]!r}; known are: {', '.join(sorted(KNOWN))}"
        )
    ports = data.get("firewall_ports", [])
    if not isinstance(ports, list | tuple) or not all(_is_port(one) for one in ports):
        raise ConfigError(f"{path}: firewall_ports of {name} is {ports!r}, not a list of ports")
    every, keep = data.get("backup_every", ""), data.get("backup_keep", KEEP)
    if every not in {"", *EVERY}:
        raise ConfigError(f"{path}: backup_every of {name} is {every!r}, not {', '.join(EVERY)}")
    if not isinstance(keep, int) or keep < 1:
        raise ConfigError(f"{path}: backup_keep of {name} is {keep!r}, not a number from 1 on")
    root = data.get("root", "/srv/herald")
    if not isinstance(root, str) or not ROOT.fullmatch(root):
        raise ConfigError(f"{path}: root of {name} is {root!r}, not an absolute path on the server")
    return Host(
        name=name,
        environment=environment,
        address=data.get("ssh_hostname", name),
        port=int(data.get("ssh_port", 22)),
        user=data.get("ssh_user", "deploy"),
        key=_file(data, "ssh_key"),
        known_hosts=_file(data, "ssh_known_hosts_file"),
        root=root,
        settings={key: str(value) for key, value in data.get("settings", {}).items()},
        data=data,
    )
