"""Every step of making a server ready; pyinfra runs this file, `provisioning` runs pyinfra.

Idempotent: a second run finds everything in place. SSH itself is closed to root and passwords in
`provisioning`, which keeps a way back open while it does that.
"""

import json
from io import StringIO

from pyinfra.api.operation import OperationMeta
from pyinfra.context import host
from pyinfra.facts.server import Command
from pyinfra.operations import apt, files, server, systemd

from deploy.server import firewall, scheduled, server_files

USER = host.data.deploy_user
ROOT = host.data.root
SUDO = {"_sudo": host.data.ssh_user != "root"}


def told(command: str) -> str:
    """Return what a command says on the host; it must not fail."""
    return str(host.get_fact(Command, command, **SUDO) or "").strip()


SYSTEMD = told("test -d /run/systemd/system && echo yes || echo no") == "yes"
ID, _, VERSION = told('. /etc/os-release && echo "$ID $VERSION_ID"').partition(" ")
COMPOSE = told("docker compose version >/dev/null 2>&1 && echo yes || echo no") == "yes"
TIME = told("command -v chronyd ntpd || ls /lib/systemd/systemd-timesyncd 2>/dev/null || echo no")


def put(name: str, path: str, text: str, mode: str = "644") -> OperationMeta:
    """Put a file of ours in its place; none of them is a secret."""
    return files.put(
        name=name,
        src=StringIO(text),
        dest=path,
        user="root",
        group="root",
        mode=mode,
        create_remote_dir=True,
        **SUDO,
    )


packages = [*server_files.PACKAGES, *server_files.PACKAGES_OF[ID, VERSION]]
if COMPOSE:
    packages = [one for one in packages if not one.startswith("docker-compose")]
if TIME == "no":
    packages.append("systemd-timesyncd" if SYSTEMD else "chrony")
if not COMPOSE and (ID, VERSION) == server_files.BORROWING:
    put("Prefer this Debian's packages", server_files.BORROWED_PATH, server_files.BORROWED)
    server.shell(
        name="Let apt have the next Debian's Compose", commands=[server_files.BORROW], **SUDO
    )
apt.packages(
    name="Install Docker, Compose and what a server needs",
    packages=packages,
    no_recommends=True,
    update=True,
    cache_time=24 * 3600,
    **SUDO,
)

logs = put("Rotate the logs of containers", "/etc/docker/daemon.json", server_files.DAEMON)
put("Rotate the audit", "/etc/logrotate.d/herald", server_files.logrotate(ROOT))
put("Install security updates unattended", server_files.UPGRADES_PATH, server_files.UPGRADES)

server.user(  # noqa: S604 - pyinfra's `shell` is the login shell
    name="Make the user who deploys",
    user=USER,
    shell="/bin/bash",
    create_home=True,
    public_keys=list(host.data.public_keys),
    **SUDO,
)
put(
    "Let that user become root",
    "/etc/sudoers.d/herald",
    f"{USER} ALL=(ALL) NOPASSWD: ALL\n",
    "440",
)

if SYSTEMD:
    systemd.service(
        name="Keep Docker running", service="docker.service", running=True, enabled=True, **SUDO
    )
    systemd.service(
        name="Start Docker again with its new settings",
        service="docker.service",
        restarted=True,
        _if=logs.did_change,
        **SUDO,
    )
elif told("docker version >/dev/null 2>&1 && echo yes || echo no") == "no":
    server.shell(name="Start Docker", commands=[server_files.START_DOCKER], **SUDO)

# Where sshd listens by its settings, and where it has let us in.
words = f"{told(server_files.SSH_PORTS)} {host.get_fact(Command, server_files.OUR_SSH_PORT) or ''}"
ssh = [int(word) for word in words.split() if word.isdecimal()]
script = firewall.program(host.data.firewall_ports, ssh)
put("Write the firewall", firewall.PATH, script, "755")
# The rules are looked at before the deploy: a host without the script has none.
checks = f"{firewall.PATH} check {server_files.digest(script)}"
if told(f"{checks} >/dev/null 2>&1 && echo yes || echo no") == "no":
    server.shell(
        name="Close every port but those that are wanted",
        commands=[f"{firewall.PATH} apply"],
        **SUDO,
    )

keep = json.dumps({"keep": int(host.data.backup_keep)}) + "\n"
put("Say how many backups are kept", f"{ROOT}/backup.json", keep)
wanted = scheduled.files(ROOT, host.data.backup_every, systemd=SYSTEMD)
written = [put(f"Do by itself: {path}", path, text) for path, text in wanted.items()]
if SYSTEMD:
    systemd.daemon_reload(
        name="Have systemd read its units again",
        _if=lambda: any(one.did_change() for one in written),
        **SUDO,
    )
    for path in filter(scheduled.enabled, wanted):
        unit = path.rpartition("/")[2]
        timer = unit.endswith(".timer")
        systemd.service(
            name=f"Enable {unit}", service=unit, enabled=True, running=timer or None, **SUDO
        )
    there = told(f"ls {scheduled.UNITS}/herald-backup.timer 2>/dev/null || :")
    if there and not host.data.backup_every:
        server.shell(name="Back up no more by itself", commands=[scheduled.STOP_BACKUPS], **SUDO)
elif told("pgrep -x cron >/dev/null && echo yes || echo no") == "no":
    server.shell(name="Start cron", commands=[scheduled.START_CRON], **SUDO)

size = int(host.data.swap_megabytes)
if size and not told("tail -n +2 /proc/swaps"):
    server.shell(name="Make swap", commands=[server_files.swap(size)], **SUDO)
