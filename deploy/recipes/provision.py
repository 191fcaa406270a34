"""Make a bare server ready; a second run finds everything in place and changes nothing.

Where only root can log in yet, plain pyinfra wants `--user root` the first time.
"""

import json
from dataclasses import dataclass
from io import StringIO

from pyinfra.api.deploy import deploy
from pyinfra.api.operation import OperationMeta
from pyinfra.facts.server import Command
from pyinfra.operations import apt, files, server, systemd

from deploy import inventory, operations
from deploy.agent.data.backup import KEEP
from deploy.errors import DeployError
from deploy.host import provisioning
from deploy.inventory import Host
from deploy.outcome import here, say_on
from deploy.server import firewall, scheduled, server_files


@dataclass(frozen=True)
class Seen:
    """What the steps have to know of a server before they begin."""

    wanted: Host
    key: str
    sudo: bool
    system: tuple[str, str]
    systemd: bool

    def says(self, command: str) -> str:
        """Return what a command says on the host; it must not fail."""
        return str(here().get_fact(Command, command, _sudo=self.sudo) or "").strip()

    def holds(self, command: str) -> bool:
        """Whether a command on the host exits with 0."""
        return self.says(f"{{ {command}; }} >/dev/null 2>&1 && echo yes || echo no") == "yes"


def look() -> Seen:
    """Look at the server; nothing is changed.

    Raises:
        DeployError: It cannot be made ready by us, or not from here.
    """
    say_on(here())("looking at the server")
    wanted = inventory.of(here())
    key = provisioning.public_key(wanted)
    entrance = provisioning.enter(here())
    seen = Seen(wanted, key, entrance.user != "root", ("", ""), systemd=False)
    name, _, version = seen.says('. /etc/os-release && echo "$ID $VERSION_ID"').partition(" ")
    init = seen.holds("test -d /run/systemd/system")
    return Seen(wanted, key, seen.sudo, (name, version), init)


@deploy("Herald")
def provision() -> None:
    """Make a server ready: Docker, who deploys, firewall, updates, backups by the clock, SSH."""
    try:
        seen = look()
    except DeployError as error:
        operations.refuse(name="Look at the server", error=error)
        return
    packages(seen)
    docker(seen)
    deployer(seen)
    ports(seen)
    clock(seen)
    swap(seen)
    operations.close_ssh(name="Let only keys in, and root no more", host=seen.wanted)


def put(seen: Seen, name: str, path: str, text: str, mode: str = "644") -> OperationMeta:
    """Put a file of ours in its place; none of them is a secret."""
    return files.put(
        name=name,
        src=StringIO(text),
        dest=path,
        user="root",
        group="root",
        mode=mode,
        create_remote_dir=True,
        _sudo=seen.sudo,
    )


def shell(seen: Seen, name: str, command: str) -> None:
    """Have the host do something that it has not done yet."""
    server.shell(name=name, commands=[command], _sudo=seen.sudo)


def packages(seen: Seen) -> None:
    """Install what a server needs, from its own distribution where that has it."""
    compose = seen.holds("docker compose version")
    clock = seen.holds("command -v chronyd ntpd || ls /lib/systemd/systemd-timesyncd")
    names = [*server_files.PACKAGES, *server_files.PACKAGES_OF[seen.system]]
    if compose:
        names = [name for name in names if not name.startswith("docker-compose")]
    if not clock:
        names.append("systemd-timesyncd" if seen.systemd else "chrony")
    if not compose and seen.system == server_files.BORROWING:
        put(
            *(seen, "Prefer this Debian's packages"),
            *(server_files.BORROWED_PATH, server_files.BORROWED),
        )
        shell(seen, "Let apt have the next Debian's Compose", server_files.BORROW)
    apt.packages(
        name="Install Docker, Compose and what a server needs",
        packages=names,
        no_recommends=True,
        update=True,
        cache_time=24 * 3600,
        _sudo=seen.sudo,
    )


def docker(seen: Seen) -> None:
    """Have Docker run, and logs rotate."""
    path = "/etc/docker/daemon.json"
    logs = put(seen, "Rotate the logs of containers", path, server_files.DAEMON)
    audit = server_files.logrotate(seen.wanted.root)
    put(seen, "Rotate the audit", "/etc/logrotate.d/herald", audit)
    put(
        *(seen, "Install security updates unattended"),
        *(server_files.UPGRADES_PATH, server_files.UPGRADES),
    )
    unit = "docker.service"
    if seen.systemd:
        systemd.service(
            name="Keep Docker running", service=unit, running=True, enabled=True, _sudo=seen.sudo
        )
        systemd.service(
            name="Start Docker again with its new settings",
            service=unit,
            restarted=True,
            _if=logs.did_change,
            _sudo=seen.sudo,
        )
    elif not seen.holds("docker version"):
        shell(seen, "Start Docker", server_files.START_DOCKER)


def deployer(seen: Seen) -> None:
    """Make the user who deploys."""
    user = seen.wanted.data.get("deploy_user", seen.wanted.user)
    server.user(  # noqa: S604 - pyinfra's `shell` is the login shell
        name="Make the user who deploys",
        user=user,
        shell="/bin/bash",
        create_home=True,
        public_keys=[seen.key],
        _sudo=seen.sudo,
    )
    rule = f"{user} ALL=(ALL) NOPASSWD: ALL\n"
    put(seen, "Let that user become root", "/etc/sudoers.d/herald", rule, "440")


def ports(seen: Seen) -> None:
    """Close every port but SSH's, and those that the inventory opens."""
    # Where sshd listens by its settings, and where it has let us in.
    ours = here().get_fact(Command, server_files.OUR_SSH_PORT) or ""
    words = f"{seen.says(server_files.SSH_PORTS)} {ours}"
    ssh = [int(word) for word in words.split() if word.isdecimal()]
    own = seen.wanted.private_address
    members = inventory.private_addresses(here()) if own else ()
    script = firewall.program(list(seen.wanted.data.get("firewall_ports", [])), ssh, own, members)
    put(seen, "Write the firewall", firewall.PATH, script, "755")
    # The rules are looked at before the deploy: a host without the script has none.
    if not seen.holds(f"{firewall.PATH} check {server_files.digest(script)}"):
        shell(seen, "Close every port but those that are wanted", f"{firewall.PATH} apply")


def clock(seen: Seen) -> None:
    """Have backups made by the clock, and what died settled by the boot."""
    data, root = seen.wanted.data, seen.wanted.root
    every = data.get("backup_every", "")
    keep = json.dumps({"keep": int(data.get("backup_keep", KEEP))}) + "\n"
    put(seen, "Say how many backups are kept", f"{root}/retention.json", keep)
    texts = scheduled.files(root, every, systemd=seen.systemd)
    written = [put(seen, f"Do by itself: {path}", path, text) for path, text in texts.items()]
    if seen.systemd:
        systemd.daemon_reload(
            name="Have systemd read its units again",
            _if=lambda: any(file.did_change() for file in written),
            _sudo=seen.sudo,
        )
        for path in filter(scheduled.enabled, texts):
            unit = path.rpartition("/")[2]
            systemd.service(
                name=f"Enable {unit}",
                service=unit,
                enabled=True,
                running=unit.endswith(".timer") or None,
                _sudo=seen.sudo,
            )
        if not every and seen.holds(f"ls {scheduled.UNITS}/herald-backup.timer"):
            shell(seen, "Back up no more by itself", scheduled.STOP_BACKUPS)
    elif not seen.holds("pgrep -x cron"):
        shell(seen, "Start cron", scheduled.START_CRON)


def swap(seen: Seen) -> None:
    """Make swap where there is none."""
    size = int(seen.wanted.data.get("swap_megabytes", 1024))
    if size and not seen.says("tail -n +2 /proc/swaps"):
        shell(seen, "Make swap", server_files.swap(size))


if __name__ == "builtins":
    provision()
