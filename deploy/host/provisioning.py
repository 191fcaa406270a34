"""`provision`: from a bare server to one that can be deployed to, but for pyinfra's own steps.

The first time we come in as the user that the provider made, root as a rule; later as the user
who deploys, since root may not log in any more.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pyinfra.api.host import Host as PyinfraHost

from deploy.errors import ConfigError, ConnectionLostError, DeployError, UnavailableError
from deploy.inventory import Host
from deploy.outcome import Act, link_of
from deploy.server import server_files
from deploy.ssh import commands
from deploy.ssh.link import Link, Say

BOOTSTRAP_USER = "root"
SSHD_SECONDS = 15.0


def enter(host: PyinfraHost) -> Host:
    """Return the host with the user who can log in now; the system is one that we know.

    Raises:
        DeployError: Nobody can, or the system is another.
    """
    link = link_of(host)
    first = link.host.data.get("bootstrap_user", BOOTSTRAP_USER)
    try:
        link.run("true")
    except ConnectionLostError:
        if link.host.user == first:
            raise
        host.connector.data["ssh_user"] = first
        link.host = replace(link.host, user=first)
    check_system(link)
    return link.host


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


def check_system(link: Link) -> None:
    """Look whether we know the system and may change it, before anything is changed.

    Raises:
        UnavailableError: We do not, or may not.
    """
    host = link.host
    words = link.run('. /etc/os-release 2>/dev/null; echo "$ID|$VERSION_ID|$PRETTY_NAME"').strip()
    name, version, pretty = [*words.split("|"), "", ""][:3]
    if (name, version) not in server_files.SUPPORTED:
        known = ", ".join(f"{system} {number}" for system, number in sorted(server_files.SUPPORTED))
        raise UnavailableError(f"{pretty or 'its system'} is not supported; supported are: {known}")
    try:
        link.run(commands.sudo(host, "true"))
    except DeployError:
        raise UnavailableError(f"{host.user} may not use sudo without a password") from None


def close_ssh(link: Link, host: Host, say: Say, *, dry: bool) -> Iterator[Act]:
    """Let only keys in, and root no more; undone at once where the deploying user is locked out.

    The connection that is open stays open meanwhile: it is the way back.

    Raises:
        UnavailableError: The new settings are not good; the old ones are in force.
    """
    path = server_files.SSHD_PATH
    old = link.run(commands.as_root(link.host, f"cat {path} 2>/dev/null || true"))
    write = f"umask 022; mkdir -p /etc/ssh/sshd_config.d; cat >{path}.new; mv {path}.new {path}; "
    process = "$(cat /run/sshd.pid 2>/dev/null || pgrep -o -x sshd)"
    reload = f'mkdir -p /run/sshd; sshd -t && kill -HUP "{process}"'

    def close() -> int:
        check_entrance(host)
        try:
            link.run(commands.as_root(link.host, write + reload), server_files.SSHD.encode())
            check_entrance(host)
        except DeployError as error:
            link.run(commands.as_root(link.host, f"rm -f {path}; {reload}"))
            raise UnavailableError(f"SSH was left as it was: {error}") from None
        say("SSH takes keys only, and root no more")
        return os.EX_OK

    if old != server_files.SSHD:
        yield close
    elif not dry:
        check_entrance(host)
    if not dry:
        say(f"{host.name} is ready: make deploy host={host.name}")


def check_entrance(host: Host) -> None:
    """Log in anew as the deploying user, and become root; sshd may be reading its settings.

    Raises:
        DeployError: That fails.
    """
    deadline = time.monotonic() + SSHD_SECONDS
    while True:
        try:
            with Link(host) as link:
                link.run(commands.sudo(host, "true"))
        except ConnectionLostError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return
