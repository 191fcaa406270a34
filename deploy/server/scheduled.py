"""What a server does by itself, at boot and by the clock, as pure text: systemd's units, or cron's.

The words for how often are those that cron and systemd share.
"""

from deploy.server import firewall

EVERY = ("hourly", "daily", "weekly", "monthly")
CRON_PATH = "/etc/cron.d/herald"
UNITS = "/etc/systemd/system"
UNIT = """\
[Unit]
Description=Herald: {name}
{order}
[Service]
Type=oneshot
ExecStart={work}
"""
AT_BOOT = """\

[Install]
WantedBy=multi-user.target
"""
TIMER = """\
[Unit]
Description=Herald: {every} backup

[Timer]
OnCalendar={every}
Persistent=true

[Install]
WantedBy=timers.target
"""
STOP_BACKUPS = (
    "systemctl disable --now herald-backup.timer; "
    f"rm -f {UNITS}/herald-backup.timer {UNITS}/herald-backup.service; systemctl daemon-reload"
)
# Where no init system keeps services; a cron that runs already stays.
START_CRON = "pgrep -x cron >/dev/null || cron"


def files(root: str, every: str, *, systemd: bool) -> dict[str, str]:
    """Return the files that are to be there, text by path.

    Args:
        root: The project's folder.
        every: How often data is backed up, one of EVERY; empty for never.
        systemd: Whether systemd runs services here; otherwise cron does.
    """
    return units(root, every) if systemd else {CRON_PATH: cron(root, every)}


def works(root: str) -> dict[str, str]:
    """Return what is done, as command lines."""
    agent = f"/usr/bin/python3 {root}/agent.pyz --root {root}"
    return {
        "firewall": f"{firewall.PATH} boot",
        "recover": f"{agent} --who boot recover",
        "backup": f"{agent} --who timer backup --wait",
    }


def cron(root: str, every: str) -> str:
    """Return a file for /etc/cron.d; a backup is made only once a release has run."""
    work = works(root)
    lines = [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        f"@reboot root {work['firewall']}",
        f"@reboot root {work['recover']}",
    ]
    if every:
        lines.append(f"@{every} root test ! -e {root}/current || {work['backup']}")
    return "\n".join([*lines, ""])


def units(root: str, every: str) -> dict[str, str]:
    """Return systemd's units; the last word of a path is what is to be enabled."""
    work = works(root)
    order = {
        "firewall": "Before=docker.service\n",
        "recover": f"After=docker.service\nConditionPathExists={root}/agent.pyz\n",
        "backup": f"After=docker.service\nConditionPathExists={root}/current\n",
    }
    files = {
        f"{UNITS}/herald-{name}.service": UNIT.format(name=name, order=order[name], work=work[name])
        + AT_BOOT
        for name in ("firewall", "recover")
    }
    if every:
        backup = UNIT.format(name="backup", order=order["backup"], work=work["backup"])
        files[f"{UNITS}/herald-backup.service"] = backup
        files[f"{UNITS}/herald-backup.timer"] = TIMER.format(every=every)
    return files


def enabled(path: str) -> bool:
    """Whether a file is a unit that has to be enabled; the others are started by those."""
    return path.endswith(".timer") or path in {
        f"{UNITS}/herald-firewall.service",
        f"{UNITS}/herald-recover.service",
    }
