"""The firewall of a provisioned server, as the text of a program that stays there.

Everything is dropped that is not let in: whatever interface it comes by, whatever that is called
and whenever it appears. Only loopback and the bridges that Docker itself names are inner ones.
"""

from collections.abc import Iterable

from deploy.agent.host.stack import FIREWALL
from deploy.errors import ConfigError

PATH = FIREWALL


STORE_PORTS = (6379, 26379, 5432, 8008, 2379, 2380)
"""Where copies of Redis and PostgreSQL, and what chooses among them, talk to each other."""


def program(
    ports: Iterable[int], ssh: Iterable[int], own: str = "", members: Iterable[str] = ()
) -> str:
    """Return the program that closes every port but SSH's and some others, for both IP versions.

    Docker's published ports bypass INPUT: DOCKER-USER, which Docker leaves to the administrator,
    holds them to the same rule (docs.docker.com/engine/network/packet-filtering-firewalls).
    Each chain is replaced in one step, so that no packet meets half a rule set.

    Args:
        ports: TCP ports that are open to the world.
        ssh: Where sshd listens. At boot it cannot be asked, so that it is written down.
        own: The server's private address, where it is one of several with copies of the stores.
        members: The private addresses of all of those.

    Raises:
        ConfigError: No port of SSH's is known: nobody would ever come in again.
    """
    if not (known := sorted(set(ssh))):
        raise ConfigError("it is not known on which port sshd listens; nothing is closed")
    wanted = " ".join(str(port) for port in sorted(set(ports)))
    text = PROGRAM.replace("@SSH@", " ".join(map(str, known))).replace("@PORTS@", wanted)
    return text.replace("@STORES@", stores(own, members) if own else "")


def stores(own: str, members: Iterable[str]) -> str:
    """Return the rules that let the members in at the ports of the stores, and own containers."""
    listed = ",".join(map(str, STORE_PORTS))
    others = " ".join(sorted({*members} - {own}))
    return STORES.replace("@OWN@", own).replace("@OTHERS@", others).replace("@LISTED@", listed)


STORES = """\
    if [ "$1" = icmp ]; then
        stores='-p tcp -m multiport --dports @LISTED@ -j ACCEPT'
        for member in @OTHERS@; do
            echo "-A HERALD-INPUT -s $member -d @OWN@ $stores"
        done
        for bridge in $inner; do
            echo "-A HERALD-INPUT -i $bridge -d @OWN@ $stores"
        done
    fi
"""


PROGRAM = """\
#!/bin/sh
# Closes every port but SSH's and those listed: herald-firewall apply | boot | check DIGEST
set -eu
digest="$(sha256sum "$0" | cut -c -12)"
mark="herald-$digest"
# Where sshd listened when this was written, and where its settings say that it does now.
mkdir -p /run/sshd
ssh="@SSH@ $(sshd -T 2>/dev/null | awk '$1 == "port" {print $2}')"
case "$ssh" in
*[0-9]*) ;;
*) echo 'no port of SSH is known; nothing is closed' >&2 && exit 78 ;;
esac

bridges() { # one name a line; a bridge is named after its network where nobody has named it
    named='{{with index .Options "com.docker.network.bridge.name"}}{{.}}{{end}}'
    timeout 10 docker network ls --quiet --filter driver=bridge |
        xargs -r timeout 10 docker network inspect --format "{{.Id}} $named" |
        awk '{print $2 == "" ? "br-" substr($1, 1, 12) : $2}'
}

rules() { # $1: icmp's name
    echo '*filter'
    echo ':HERALD-INPUT - [0:0]'
    echo ':DOCKER-USER - [0:0]'
    echo "-A HERALD-INPUT -m comment --comment $mark -i lo -j ACCEPT"
    echo '-A HERALD-INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT'
    echo "-A HERALD-INPUT -p $1 -j ACCEPT"
    for port in $(printf '%s\\n' $ssh @PORTS@ | sort -un); do
        echo "-A HERALD-INPUT -p tcp --dport $port -j ACCEPT"
    done
@STORES@    echo '-A HERALD-INPUT -j DROP'
    known='-m conntrack --ctstate RELATED,ESTABLISHED'
    echo "-A DOCKER-USER -m comment --comment $mark $known -j RETURN"
    for bridge in lo $inner; do
        echo "-A DOCKER-USER -i $bridge -j RETURN"
    done
    for port in @PORTS@; do
        echo "-A DOCKER-USER -p tcp -m conntrack --ctstate DNAT --ctorigdstport $port -j RETURN"
    done
    echo '-A DOCKER-USER -j DROP'
    echo COMMIT
}

# At boot this comes before Docker, whose bridges will have the names that they had before.
remembered=/var/lib/herald-bridges
inner=''
[ "$1" = boot ] || inner="$(bridges 2>/dev/null)"
if [ -z "$inner" ]; then
    inner="$(cat "$remembered" 2>/dev/null || echo docker0)"
elif [ "$1" = apply ]; then
    echo "$inner" >"$remembered.new" && mv "$remembered.new" "$remembered"
fi
for family in iptables:icmp ip6tables:icmpv6; do
    tables="${family%%:*}"
    case "$1" in
    apply | boot)
        rules "${family##*:}" | "$tables-restore" --wait --noflush
        "$tables" --wait -C INPUT -j HERALD-INPUT 2>/dev/null ||
            "$tables" --wait -I INPUT 1 -j HERALD-INPUT
        ;;
    check)
        [ "$2" = "$digest" ]
        "$tables" --wait -C INPUT -j HERALD-INPUT
        for chain in HERALD-INPUT DOCKER-USER; do
            "$tables" --wait -S "$chain" | grep -q -- "$mark"
        done
        for bridge in $inner; do
            "$tables" --wait -C DOCKER-USER -i "$bridge" -j RETURN
        done
        ;;
    esac
done
"""
