"""Three servers with Docker engines of their own on one network, and the clone deployed to them."""

import json
import secrets
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from deploy.server import firewall
from tests.deploy.project import Project
from tests.deploy.server import ON_DISK, READY, Server, docker
from tests.deploy.stores import CONTAINER
from tests.deploy.telegram import reachable_simulator
from tests.deploy.traffic import Traffic
from tests.processes import TOKEN

NAMES = ("one", "two", "three")
ENVIRONMENT = "env=staging"
DOMAIN = "bot.example.org"
CADDY = f"""
  - name: caddy
    type: caddy
    description: TLS for the host name under which Telegram brings updates.
    overlays: [prod]
    host: {DOMAIN}
    certificate: given
"""
PRIMARY = (
    f"docker exec $({CONTAINER % 'redis_sentinel'}) "
    "redis-cli -p 26379 sentinel get-master-addr-by-name redis | head -n 1"
)
HEARS = "for chain in INPUT FORWARD; do iptables {} $chain -s {} -j DROP; done"
POLLS = (
    f"docker exec $({CONTAINER % 'tg_bot'}) python -c 'from urllib.request import urlopen; "
    'print(urlopen("http://127.0.0.1:8080/metrics").read().decode())\' | grep -x "herald_polls 1.0"'
)
FOLLOWS = (
    f"docker exec $({CONTAINER % 'postgres'}) psql -U herald -qAtXc 'SELECT pg_is_in_recovery()'"
)
AGENT = "python3 $(ls /srv/herald/state/agent-*.pyz | head -n 1) --root /srv/herald"


class Member(Server):
    """A test server whose port is known when its power is gone too."""

    @cached_property
    def port(self) -> int:
        """Return the port of its sshd on 127.0.0.1."""
        return super().port


@dataclass
class Three:
    """Three servers, the clone that is deployed to them, and what is written to their bot.

    Attributes:
        network: The network of this machine's engine that they share.
        addresses: Their private addresses, by name.
    """

    network: str
    project: Project
    traffic: Traffic
    addresses: dict[str, str]
    stack: ExitStack

    @property
    def servers(self) -> dict[str, Server]:
        """Return the servers by name."""
        return self.project.servers

    def deploy(self, *words: str) -> str:
        """Deploy to all; return what was said."""
        return self.project.succeed("deploy", ENVIRONMENT, *words)

    def cut(self, name: str) -> None:
        """Take a server off the network, and then its power."""
        docker("network", "disconnect", "--force", self.network, self.servers[name].id)
        docker("kill", self.servers[name].id)

    def runs(self, name: str) -> bool:
        """Whether a server has power."""
        state = docker("inspect", "--format", "{{.State.Running}}", self.servers[name].id)
        return state.strip() == "true"

    def new_server(self, name: str) -> None:
        """Take what is left of a server away, and put a bare one with its address in its place."""
        self.servers[name].__exit__()
        folder = self.project.folder / f"new-{name}"
        made = Member(folder, READY, (*ON_DISK, *self.at(self.addresses[name])))
        self.servers[name] = self.stack.enter_context(made)
        # Root logs in the first time; swap would be the whole machine's.
        self.project.own[name] |= {"ssh_user": "deploy", "swap_megabytes": 0}

    def at(self, address: str) -> tuple[str, ...]:
        """Return what puts a container on the network with an address."""
        return ("--network", self.network, "--ip", address)

    def come_back(self, name: str) -> None:
        """Switch the power of a server on again, and put it back on the network."""
        server = self.servers[name]
        docker("network", "connect", "--ip", self.addresses[name], self.network, server.id)
        docker("start", server.id)
        server.__dict__.pop("port", None)  # another one each time
        server.wait()
        server.sh(f"{firewall.PATH} apply")

    def close(self, name: str, other: str) -> None:
        """Have a server, and the containers on it, hear of another one no more."""
        self.servers[name].sh(HEARS.format("-I", self.addresses[other]))

    def open(self, name: str, other: str) -> None:
        """Have a server hear of another one again."""
        self.servers[name].sh(HEARS.format("-D", self.addresses[other]))

    def have_updates_brought(self) -> None:
        """Declare that Telegram brings the updates, over TLS, to whichever server has the lease."""
        for name, address in self.addresses.items():
            settings = {"TELEGRAM_API_URL": self.project.telegram, **self.project.settings}
            settings["WEBHOOK_IP_ADDRESS"] = address
            self.project.own[name] |= {"settings": settings}
        text = (self.project.checkout / "services.yml").read_text() + CADDY
        bot = "  - name: tg_bot\n    type: python\n"
        assert text.count(bot) == 1
        self.project.write("services.yml", text.replace(bot, f"{bot}    updates: webhook\n"))
        self.project.git("add", "--all")
        self.project.git("commit", "--quiet", "--message", "Add what is rendered for Caddy")
        for secret in ("CERTIFICATE", "KEY"):
            text = (self.project.folder / secret).read_text()
            self.project.succeed("secrets", ENVIRONMENT, f"set=WEBHOOK_{secret}", stdin=text)

    @contextmanager
    def without_copies(self) -> Iterator[None]:
        """Declare one copy of each store inside the block."""
        text = (self.project.checkout / "services.yml").read_text()
        with self.project.undone():
            self.project.write("services.yml", text.replace("    copies: 3\n", ""))
            yield

    def brought_to(self) -> str:
        """Return the server to whose address Telegram brings updates; empty where to none."""
        url = f"{self.project.telegram}/bot{TOKEN}/getWebhookInfo"
        with urllib.request.urlopen(url) as answer:  # noqa: S310 - http, of this test
            address = json.load(answer)["result"].get("ip_address", "")
        return next((name for name, own in self.addresses.items() if own == address), "")

    def primary(self, asked: str) -> str:
        """Return the server with the Redis that is written to, as a Sentinel names it."""
        address = self.servers[asked].sh(PRIMARY).strip()
        return next(name for name, own in self.addresses.items() if own == address)

    def leads_postgres(self, name: str) -> bool:
        """Whether a server has the PostgreSQL that is written to."""
        return self.servers[name].sh(FOLLOWS).strip() == "f"

    def polls(self, name: str) -> bool:
        """Whether the bot of a server says that it polls."""
        return self.servers[name].succeeds(POLLS)

    def have_poll(self, name: str) -> None:
        """Have the bot of a server poll: whoever else does starts again and stands by."""
        while not self.polls(name):
            for other in NAMES:
                if other != name and self.polls(other):
                    self.servers[other].sh(f"docker restart $({CONTAINER % 'tg_bot'})")
            time.sleep(1)

    def wait_until_whole(self, asked: str, without: str = "") -> None:
        """Wait until all copies are there but for those of a server that is gone."""
        away = f" --away {self.addresses[without]}" if without else ""
        self.servers[asked].sh(f"{AGENT} whole --seconds 180{away}")


def certificate(folder: Path) -> Path:
    """Make a certificate for DOMAIN that is its own authority, and its key; return the former."""
    command = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    files = ("-keyout", folder / "KEY", "-out", folder / "CERTIFICATE")
    name = ("-subj", f"/CN={DOMAIN}", "-addext", f"subjectAltName=DNS:{DOMAIN}")
    subprocess.run((*command, *files, *name), check=True, capture_output=True)
    return folder / "CERTIFICATE"


@contextmanager
def three(folder: Path) -> Iterator[Three]:
    """Make three servers with nothing on them but Docker, and a clone with copies of its stores."""
    network = f"herald-group-{secrets.token_hex(4)}"
    prefix = f"10.{200 + secrets.randbelow(50)}.{secrets.randbelow(256)}"
    docker("network", "create", "--subnet", f"{prefix}.0/24", network)
    with ExitStack() as stack:
        stack.callback(docker, "network", "rm", network)
        authority = certificate(folder)
        telegram = stack.enter_context(reachable_simulator(network=network, authority=authority))
        project = Project(folder, telegram)
        project.data = {"firewall_ports": [443]}
        addresses = {name: f"{prefix}.{10 + place}" for place, name in enumerate(NAMES)}
        traffic = Traffic(telegram, Server(folder))
        made = Three(network, project, traffic, addresses, stack)
        for name, address in addresses.items():
            server = Member(folder / name, READY, (*ON_DISK, *made.at(address)))
            project.servers[name] = stack.enter_context(server)
            project.own[name] = {"private_address": address}
            rules = firewall.program((443,), (22,), address, addresses.values())
            server.write(firewall.PATH, rules.encode())
            server.sh(f"chmod 755 {firewall.PATH} && {firewall.PATH} apply")
        traffic.server = project.servers["one"]
        text = (project.checkout / "services.yml").read_text()
        text = text.replace("    persistence: always\n", "")
        for kind in ("redis", "postgres"):
            assert text.count(f"    type: {kind}\n") == 1
            text = text.replace(f"    type: {kind}\n", f"    type: {kind}\n    copies: 3\n")
        project.write("services.yml", text)
        project.inventory()
        project.set_secrets()
        yield made
