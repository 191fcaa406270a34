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
FIREWALL_PATH = "/usr/local/sbin/herald-firewall"
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


def firewall(ports: tuple[int, ...]) -> str:
    """Return the program that closes every port but SSH's and some others, for both IP versions.

    Docker's published ports bypass INPUT: DOCKER-USER, which Docker leaves to the administrator,
    holds them to the same rule (docs.docker.com/engine/network/packet-filtering-firewalls).
    Each chain is replaced in one step, so that no packet meets half a rule set.
    """
    return FIREWALL.replace("@PORTS@", " ".join(str(port) for port in sorted(set(ports))))


FIREWALL = """\
#!/bin/sh
# Closes every port but SSH's and those listed; herald-firewall apply|check DIGEST
set -eu
mark="herald-$2"
ports="$(sshd -T 2>/dev/null | awk '$1 == "port" {print $2}') @PORTS@"

rules() { # $1: icmp's name
    echo '*filter'
    echo ':HERALD-INPUT - [0:0]'
    echo ':DOCKER-USER - [0:0]'
    echo "-A HERALD-INPUT -m comment --comment $mark -i lo -j ACCEPT"
    echo '-A HERALD-INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT'
    echo "-A HERALD-INPUT -p $1 -j ACCEPT"
    for port in $ports; do
        echo "-A HERALD-INPUT -p tcp --dport $port -j ACCEPT"
    done
    echo '-A HERALD-INPUT -j DROP'
    known='-m conntrack --ctstate RELATED,ESTABLISHED'
    echo "-A DOCKER-USER -m comment --comment $mark $known -j RETURN"
    for outside in $outsides; do
        for port in @PORTS@; do
            echo "-A DOCKER-USER -i $outside -p tcp -m conntrack --ctorigdstport $port -j RETURN"
        done
        echo "-A DOCKER-USER -i $outside -j DROP"
    done
    echo '-A DOCKER-USER -j RETURN'
    echo COMMIT
}

outsides="$(ls /sys/class/net | grep -vE '^(lo|docker[0-9]+|br-.*|veth.*)$' || :)"
for family in iptables:icmp ip6tables:icmpv6; do
    tables="${family%%:*}"
    case "$1" in
    apply)
        rules "${family##*:}" | "$tables-restore" --wait --noflush
        "$tables" --wait -C INPUT -j HERALD-INPUT 2>/dev/null ||
            "$tables" --wait -I INPUT 1 -j HERALD-INPUT
        ;;
    check)
        "$tables" --wait -C INPUT -j HERALD-INPUT
        for chain in HERALD-INPUT DOCKER-USER; do
            "$tables" --wait -S "$chain" | grep -q -- "$mark"
        done
        ;;
    esac
done
"""
