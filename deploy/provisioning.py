"""`provision`: from a bare server to one that can be deployed to, over SSH, with pyinfra.

The first time we come in as the user that the provider made, root as a rule; later as the user
who deploys, since root may not log in any more.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy import commands
from deploy.agent.data.backup import KEEP
from deploy.errors import ConfigError, DeployError, UnavailableError
from deploy.inventory import Host
from deploy.release import checkout
from deploy.remote import ConnectionLostError, Remote
from deploy.server import server_files

Say = Callable[[str], None]
STEPS = Path(__file__).resolve().parent / "provision_host.py"
BOOTSTRAP_USER = "root"
LINES = 12
SSHD_SECONDS = 15.0


def provision(host: Host, say: Say, *, dry: bool, verbose: bool) -> int:
    """Make a server ready; return 0.

    Raises:
        DeployError: The server is not one that we know, or a step failed; SSH is as it was.
    """
    public = public_key(host)
    entrance = find_entrance(host)
    with Remote(entrance) as remote:
        check_system(remote)
        steps(entrance, host, public, say, dry=dry, verbose=verbose)
        if dry:
            return 0
        close_ssh(remote, host, say)
    say(f"{host.name} is ready: make deploy host={host.name}")
    return 0


def public_key(host: Host) -> str:
    """Return the public key that the deploying user is to log in with.

    Raises:
        ConfigError: The inventory names no key, or one that is none.
    """
    if not host.key:
        raise ConfigError(f"{host.name} has no ssh_key in its inventory: who is to log in later?")
    command = ("ssh-keygen", "-y", "-P", "", "-f", host.key)
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return result.stdout.strip()
    beside = Path(f"{host.key}.pub")
    if beside.is_file():
        return beside.read_text(encoding="utf-8").strip()
    raise ConfigError(f"{host.key} is no private key that can be read: {result.stderr.strip()}")


def find_entrance(host: Host) -> Host:
    """Return the host with the user who can log in now.

    Raises:
        ConnectionLostError: Neither can.
    """
    first = replace(host, user=host.data.get("bootstrap_user", BOOTSTRAP_USER))
    try:
        with Remote(host) as remote:
            remote.run("true")
    except ConnectionLostError:
        with Remote(first) as remote:
            remote.run("true")
        return first
    return host


def check_system(remote: Remote) -> None:
    """Look whether we know the system and may change it, before anything is changed.

    Raises:
        UnavailableError: We do not, or may not.
    """
    host = remote.host
    told = remote.run('. /etc/os-release 2>/dev/null; echo "$ID|$VERSION_ID|$PRETTY_NAME"').strip()
    name, version, pretty = [*told.split("|"), "", ""][:3]
    if (name, version) not in server_files.SUPPORTED:
        known = ", ".join(f"{one} {number}" for one, number in sorted(server_files.SUPPORTED))
        raise UnavailableError(f"{pretty or 'its system'} is not supported; supported are: {known}")
    try:
        remote.run(commands.sudo(host, "true"))
    except DeployError:
        raise UnavailableError(f"{host.user} may not use sudo without a password") from None


def steps(  # noqa: PLR0913 - two views of one host, and the options of the verb
    entrance: Host, host: Host, public: str, say: Say, *, dry: bool, verbose: bool
) -> None:
    """Run the steps with pyinfra.

    Raises:
        UnavailableError: One failed; the message has its last words.
    """
    data: dict[str, Any] = {
        "ssh_hostname": host.address,
        "ssh_port": host.port,
        "ssh_user": entrance.user,
        "ssh_strict_host_key_checking": "accept-new",
        "root": host.root,
        "deploy_user": host.data.get("deploy_user", host.user),
        "public_keys": [public],
        "firewall_ports": list(host.data.get("firewall_ports", [])),
        "swap_megabytes": host.data.get("swap_megabytes", 1024),
        "backup_every": host.data.get("backup_every", ""),
        "backup_keep": host.data.get("backup_keep", KEEP),
    }
    if host.key:
        data["ssh_key"] = host.key
    if host.known_hosts:
        data["ssh_known_hosts_file"] = host.known_hosts
    with tempfile.TemporaryDirectory(prefix="herald-provision-") as folder:
        inventory = Path(folder, "inventory.py")
        inventory.write_text(f"hosts = [({host.name!r}, {data!r})]\n", encoding="utf-8")
        command = [sys.executable, "-m", "pyinfra", "--dry" if dry else "--yes"]
        environment = {**os.environ, "PYTHONPATH": str(checkout.ROOT), "PYINFRA_PROGRESS": "off"}
        say("looking at the server" if dry else "setting up the server")
        result = subprocess.run(
            [*command, str(inventory), str(STEPS)],
            cwd=checkout.ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    lines = [line.rstrip() for line in result.stdout.splitlines() if line.strip()]
    for line in lines if verbose or dry else changes(lines):
        say(line)
    if result.returncode:
        raise UnavailableError("a step failed:\n" + "\n".join(lines[-LINES:]))


def changes(lines: list[str]) -> list[str]:
    """Return the lines of pyinfra's report that tell of a change."""
    return [line for line in lines if "] Success" in line or "] Error" in line]


def close_ssh(remote: Remote, host: Host, say: Say) -> None:
    """Let only keys in, and root no more; undone at once where the deploying user is locked out.

    The connection that is open stays open meanwhile: it is the way back.

    Raises:
        UnavailableError: The new settings are not good; the old ones are in force.
    """
    path = server_files.SSHD_PATH
    old = remote.run(commands.as_root(remote.host, f"cat {path} 2>/dev/null || true"))
    check_entrance(host)
    if old == server_files.SSHD:
        return
    write = f"umask 022; mkdir -p /etc/ssh/sshd_config.d; cat >{path}.new; mv {path}.new {path}; "
    process = "$(cat /run/sshd.pid 2>/dev/null || pgrep -o -x sshd)"
    reload = f'mkdir -p /run/sshd; sshd -t && kill -HUP "{process}"'
    try:
        remote.run(commands.as_root(remote.host, write + reload), server_files.SSHD.encode())
        check_entrance(host)
    except DeployError as error:
        remote.run(commands.as_root(remote.host, f"rm -f {path}; {reload}"))
        raise UnavailableError(f"SSH was left as it was: {error}") from None
    say("SSH takes keys only, and root no more")


def check_entrance(host: Host) -> None:
    """Log in anew as the deploying user, and become root; sshd may be reading its settings.

    Raises:
        DeployError: That fails.
    """
    deadline = time.monotonic() + SSHD_SECONDS
    while True:
        try:
            with Remote(host) as remote:
                remote.run(commands.sudo(host, "true"))
        except ConnectionLostError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return
