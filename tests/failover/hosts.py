"""Three hosts on one network, as network namespaces: links that can be cut, packets that get lost.

A namespace of its own holds the switch, so that no firewall of the machine counts there. This
process is a fourth host.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.copies import SERVICE, Copies, Node

NO_NAMESPACES = "network namespaces cannot be made here: root, iproute2 and iptables are needed"
OPTIONS = (f"down-after-milliseconds {SERVICE} 1000", f"failover-timeout {SERVICE} 10000")


@dataclass(frozen=True)
class Host:
    """One namespace, its link, and the address that its Sentinel votes from."""

    name: str
    link: str
    address: str
    vote_from: str

    @property
    def inside(self) -> tuple[str, ...]:
        """Return what runs a command in it."""
        return ("ip", "netns", "exec", self.name)


class Network:
    """Three hosts and a switch; everything is undone by `remove`."""

    def __init__(self) -> None:
        self._tag = secrets.token_hex(2)
        self._net = f"10.{200 + secrets.randbelow(50)}.{secrets.randbelow(250)}"
        self._switch = f"hs{self._tag}"
        self.here = f"{self._net}.254"
        self.hosts = [
            Host(f"h{self._tag}{n}", f"l{self._tag}{n}", f"{self._net}.{n}", f"{self._net}.1{n}")
            for n in (1, 2, 3)
        ]

    def make(self) -> None:
        """Make all of it."""
        inside = ("ip", "netns", "exec", self._switch)
        run("ip", "netns", "add", self._switch)
        run(*inside, *["ip", "link", "add", "bridge", "type", "bridge"])
        run(*inside, *["ip", "link", "set", "bridge", "up"])
        self._plug(f"l{self._tag}0", ())
        for host in self.hosts:
            run("ip", "netns", "add", host.name)
            self._plug(host.link, host.inside, host)

    def remove(self) -> None:
        """Take all of it away; links end with their namespaces."""
        for name in (self._switch, *(host.name for host in self.hosts)):
            subprocess.run(("ip", "netns", "del", name), check=False, capture_output=True)

    def cut(self, host: Host) -> None:
        """Pull a host's plug: nothing arrives there any more, and nothing leaves it."""
        run("ip", "netns", "exec", self._switch, "ip", "link", "set", host.link, "down")

    def join(self, host: Host) -> None:
        """Plug it in again."""
        run("ip", "netns", "exec", self._switch, "ip", "link", "set", host.link, "up")

    def lose(self, host: Host, sources: Sequence[str]) -> None:
        """Have a host lose whatever comes from these addresses."""
        for source in sources:
            run(*host.inside, *f"iptables -A INPUT -s {source} -j DROP".split())

    def heal(self) -> None:
        """Have no host lose anything."""
        for host in self.hosts:
            run(*host.inside, *["iptables", "-F", "INPUT"])

    def _plug(self, link: str, inside: Sequence[str], host: Host | None = None) -> None:
        """Lay a cable from the switch to a host, or to this process."""
        end = f"e{link}"
        into = ("netns", host.name) if host else ()
        run(*f"ip link add {link} netns {self._switch} type veth peer name {end}".split(), *into)
        run("ip", "netns", "exec", self._switch, *f"ip link set {link} master bridge up".split())
        for address in (host.address, host.vote_from) if host else (self.here,):
            run(*inside, *f"ip addr add {address}/24 dev {end}".split())
        for device in (end, *(["lo"] if host else [])):
            run(*inside, *f"ip link set {device} up".split())


@contextlib.contextmanager
def three_hosts() -> Iterator[tuple[Network, Copies]]:
    """Run a Redis and a Sentinel on each of three hosts while the context lasts."""
    network = Network()
    nodes: list[Node] = []
    try:
        network.make()
        nodes += [
            Node(host.address, 6379, 26379, host.inside, host.vote_from) for host in network.hosts
        ]
        copies = Copies(nodes, *OPTIONS)
        copies.start()
        yield network, copies
    finally:
        for node in nodes:
            node.remove()
        network.remove()


def can_make_namespaces() -> bool:
    """Whether this process may make them."""
    if os.geteuid() or not (shutil.which("ip") and shutil.which("iptables")):
        return False
    name = f"hx{secrets.token_hex(3)}"
    made = subprocess.run(("ip", "netns", "add", name), check=False, capture_output=True)
    if made.returncode:
        return False
    filtered = subprocess.run(
        ("ip", "netns", "exec", name, "iptables", "-S"), check=False, capture_output=True
    )
    subprocess.run(("ip", "netns", "del", name), check=False, capture_output=True)
    return not filtered.returncode


def run(*command: str) -> None:
    """Run a command that has to work."""
    subprocess.run(command, check=True, capture_output=True)
