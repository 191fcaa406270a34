"""The files of a provisioned server, as pure text."""

import hashlib
import json

PACKAGES = (
    *("ca-certificates", "cron", "iptables", "logrotate", "openssh-server", "python3", "sudo"),
    *("unattended-upgrades", "zstd", "docker.io"),
)
PACKAGES_OF = {
    # Debian 13 has the client in a package of its own; in the others it is in docker.io.
    ("debian", "13"): ("docker-cli", "docker-compose"),
    # As a package of Debian 13: see BORROWING.
    ("debian", "12"): ("docker-compose",),
    ("ubuntu", "22.04"): ("docker-compose-v2",),
    ("ubuntu", "24.04"): ("docker-compose-v2",),
}
SUPPORTED = set(PACKAGES_OF)
# Debian 12 has no Compose v2, and Debian 13's runs there. Everything else of Debian 13 is less
# wanted than what Debian 12 has, and a later upgrade to it is not in the way (apt_preferences(5)).
BORROWING = ("debian", "12")
BORROWED_PATH = "/etc/apt/preferences.d/herald"
BORROWED = """\
Package: *
Pin: release n=trixie
Pin-Priority: 100

Package: docker-compose
Pin: release n=trixie
Pin-Priority: 600
"""
BORROWED_SOURCE = "/etc/apt/sources.list.d/herald-trixie.list"
# The mirror is the one from which the server has its own packages.
BORROW = f"""\
set -eu
apt-get -qq update
mirror="$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' \
    'Created-By: Packages' 'Component: main' |
    awk '$2 ~ /^(bookworm|oldstable|stable)$/ {{print $1; exit}}')"
[ -n "$mirror" ] || {{ echo 'no source of apt is a mirror of Debian 12' >&2; exit 69; }}
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" \
    >{BORROWED_SOURCE}
apt-get -qq update
"""
DAEMON = (
    json.dumps(
        {
            "live-restore": True,
            "log-driver": "json-file",
            "log-opts": {"max-size": "10m", "max-file": "3"},
        },
        indent=1,
    )
    + "\n"
)
UPGRADES_PATH = "/etc/apt/apt.conf.d/20auto-upgrades"
UPGRADES = """\
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
"""
SSHD_PATH = "/etc/ssh/sshd_config.d/10-herald.conf"
SSHD = """\
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin no
"""
# `sshd -T` wants the folder of a daemon that runs.
SSH_PORTS = "mkdir -p /run/sshd; sshd -T | awk '$1 == \"port\" {print $2}'"
OUR_SSH_PORT = 'echo "${SSH_CONNECTION##* }"'
# A process of its own that outlives the connection; where no init system keeps services.
START_DOCKER = (
    "rm -f /var/run/docker.pid; setsid nohup dockerd >>/var/log/dockerd.log 2>&1 </dev/null & "
    "n=0; until docker version >/dev/null 2>&1; do n=$((n+1)); [ $n -lt 300 ] || exit 1; "
    "sleep 0.2; done"
)


def digest(text: str) -> str:
    """Return a short name for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def logrotate(root: str) -> str:
    """Return how the audit is rotated: what is older than a year is gone."""
    return f"{root}/state/audit.jsonl {{\n  monthly\n  rotate 12\n  copytruncate\n  missingok\n}}\n"


def swap(megabytes: int) -> str:
    """Return shell text that makes swap which is there after the next boot too."""
    return (
        f"fallocate -l {megabytes}M /swapfile && chmod 600 /swapfile && mkswap /swapfile && "
        "swapon /swapfile && (grep -q '^/swapfile ' /etc/fstab || "
        "echo '/swapfile none swap sw 0 0' >>/etc/fstab)"
    )
