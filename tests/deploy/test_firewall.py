"""The firewall against a world that comes in by interfaces of any name and at any time.

A server with an engine of its own, and a network namespace on it that is the world: what stands
between the two are real links, real iptables and real connections.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.server import firewall, server_files
from tests.deploy.connections import LISTEN, LISTENER, TRY
from tests.deploy.server import READY, Server

pytestmark = pytest.mark.timeout(300)
OPEN, CLOSED, OWN, WORLDS = 8443, 8080, 9090, 7000
SERVE = "python3 -m http.server --bind ::"
WITH_IPV6 = tuple(
    word
    for name in ("all", "default")
    for word in ("--sysctl", f"net.ipv6.conf.{name}.disable_ipv6=0")
)
LINKS = {
    "br-lan": ("10.91.1", "fd91:1::", ""),
    "docker9": ("10.91.2", "fd91:2::", ""),
    "br-real": ("10.91.3", "fd91:3::", "bridge"),
}
LATE = {
    "veth9late": ("10.92.1", "fd92:1::", ""),
    "br-0123456789ab": ("10.92.2", "fd92:2::", "bridge"),
}


@pytest.fixture(scope="module")
def server(servers_can_be_made: None, folder: Path) -> Iterator[Server]:
    """A server with two published ports, one of its own, and links to the world."""
    with Server(folder, READY, WITH_IPV6) as server:
        server.load(LISTENER)
        publish = "docker run --detach --publish {0}:8080 --entrypoint perl {1} -e '{2}'"
        for port in (OPEN, CLOSED):
            server.sh(publish.format(port, LISTENER, LISTEN.format(8080)))
        server.sh("ip netns add world && ip -n world link set lo up")
        for name in LINKS:
            link(server, name, LINKS)
        for where, port in (("", OWN), ("ip netns exec world", WORLDS)):
            server.sh(f"setsid {where} {SERVE} {port} >/dev/null 2>&1 &")
        yield server


def link(server: Server, name: str, links: dict[str, tuple[str, str, str]]) -> None:
    """Make an interface of a name that leads to the world; a real bridge where that is wanted."""
    ipv4, ipv6, kind = links[name]
    here = f"p{len(name)}{ipv4[-1]}" if kind else name
    far = f"w{ipv4.replace('.', '')}"
    bridge = f"ip link add {name} type bridge && ip link set {name} up;" if kind else ""
    server.sh(
        f"set -e; {bridge} ip link add {here} type veth peer name {far} netns world; "
        f"ip link set {here} {f'master {name}' if kind else ''} up; ip -n world link set {far} up; "
        f"ip addr add {ipv4}.1/24 dev {name}; ip -n world addr add {ipv4}.2/24 dev {far}; "
        f"ip -6 addr add {ipv6}1/64 dev {name} nodad; "
        f"ip -n world -6 addr add {ipv6}2/64 dev {far} nodad"
    )


def write(server: Server, text: str = "") -> str:
    """Put the firewall where `provision` puts it; return what its rules are called."""
    text = text or firewall.program((OPEN,), (22,))
    server.write(firewall.PATH, text.encode())
    server.sh(f"chmod 755 {firewall.PATH}")
    return server_files.digest(text)


def reached(server: Server, links: dict[str, tuple[str, str, str]]) -> set[tuple[str, int]]:
    """Return by which links, and IP version, which ports let the world in."""
    names: dict[str, str] = {}
    for name, (ipv4, ipv6, _) in links.items():
        names |= {f"{ipv4}.1": f"{name} v4", f"{ipv6}1": f"{name} v6"}
    words = " ".join(f"{address} {port}" for address in names for port in (22, OPEN, CLOSED, OWN))
    output = server.sh(f"ip netns exec world python3 -c '{TRY}' {words}")
    return {(names[line.split()[0]], int(line.split()[1])) for line in output.splitlines()}


def everywhere(*ports: int, links: dict[str, tuple[str, str, str]]) -> set[tuple[str, int]]:
    """Return these ports by every link and both IP versions."""
    return {
        (f"{name} {version}", port) for name in links for version in ("v4", "v6") for port in ports
    }


def test_nothing_comes_in_by_any_interface_but_what_is_open(server: Server) -> None:
    """A bridge, one that is called like Docker's, one that appears later: none is an inner one."""
    assert reached(server, LINKS) == everywhere(22, OPEN, CLOSED, OWN, links=LINKS)
    digest = write(server)
    server.sh(f"{firewall.PATH} apply && {firewall.PATH} check {digest}")
    assert reached(server, LINKS) == everywhere(22, OPEN, links=LINKS)
    for name in LATE:
        link(server, name, LATE)
    assert reached(server, LATE) == everywhere(22, OPEN, links=LATE)


def test_a_containers_own_address_is_no_way_round(server: Server) -> None:
    """Whoever is on a link can route to it past every published port."""
    (facts,) = json.loads(server.sh("docker network inspect bridge"))
    address = next(iter(facts["Containers"].values()))["IPv4Address"].partition("/")[0]
    route = f"ip -n world route replace {facts['IPAM']['Config'][0]['Subnet']} via 10.91.1.1"
    script = f"{route} && ip netns exec world python3 -c '{TRY}' {address} 8080"
    assert server.sh(script) == ""
    server.sh("iptables -I DOCKER-USER 1 -j RETURN")
    try:
        assert server.sh(script) == f"{address} 8080\n"
    finally:
        server.sh("iptables -D DOCKER-USER 1; ip -n world route del 172.16.0.0/12 2>/dev/null || :")


def out(server: Server, network: str) -> bool:
    """Whether a container of a network reaches the world."""
    peer = f"PeerAddr => q(10.91.1.2:{WORLDS}), Timeout => 2"
    ask = f"use IO::Socket::INET; exit !IO::Socket::INET->new({peer})"
    run = f"docker run --rm --network {network} --entrypoint perl {LISTENER} -e '{ask}'"
    return server.succeeds(run)


def test_containers_come_out_of_every_network_that_docker_knows(server: Server) -> None:
    """One that was made since is known after the next `apply`, which each cut-over does.

    At boot, before Docker can be asked, they have their names of before.
    """
    digest = write(server)
    server.sh(f"{firewall.PATH} apply")
    assert out(server, "bridge")
    server.sh(
        "docker network create own; docker network create -o "
        "com.docker.network.bridge.name=of-my-own named"
    )
    assert not server.succeeds(f"{firewall.PATH} check {digest}")
    server.sh(f"{firewall.PATH} apply && {firewall.PATH} check {digest}")
    for network in ("bridge", "own", "named"):
        assert out(server, network)
    server.sh("for t in iptables ip6tables; do $t -F DOCKER-USER; $t -F HERALD-INPUT; done")
    server.sh(f"{firewall.PATH} boot && {firewall.PATH} check {digest}")


def test_ssh_stays_open_where_sshd_cannot_be_asked(server: Server) -> None:
    """As at boot, before its folder is there: the port was written down."""
    shim = "#!/bin/sh\nexit 255\n"
    server.write("/usr/local/sbin/sshd", shim.encode())
    server.sh("chmod 755 /usr/local/sbin/sshd; rm -rf /run/sshd")
    try:
        server.sh(f"{firewall.PATH} boot")
        assert reached(server, LINKS) == everywhere(22, OPEN, links=LINKS)
        unknown = firewall.program((), (22,)).replace('ssh="22 ', 'ssh="')
        server.write("/srv/unknown", unknown.encode())
        code = server.sh("sh /srv/unknown apply 2>&1; echo $?")
        assert code.splitlines() == ["no port of SSH is known; nothing is closed", "78"]
    finally:
        server.sh("rm /usr/local/sbin/sshd; mkdir -p /run/sshd")
    assert reached(server, LINKS) == everywhere(22, OPEN, links=LINKS)
