"""A simulator that containers on a test server reach, as we do, and what we ask it for."""

import http.client
import ipaddress
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.deploy.server import docker
from tests.processes import simulator, url_of


@contextmanager
def reachable_simulator(
    *, any_token: bool = False, network: str = "bridge", authority: Path | None = None
) -> Iterator[str]:
    """Run a simulator inside the block; its address is the value.

    Args:
        any_token: Accept every token of the right shape, so that none has to be in the simulator's
            environment.
        network: The network of this machine's engine that it listens on.
        authority: A certificate of whoever it is to trust where it brings updates.
    """
    (bridge,) = json.loads(docker("network", "inspect", network))
    subnet = ipaddress.ip_network(bridge["IPAM"]["Config"][0]["Subnet"])
    gateway = str(next(subnet.hosts()))
    sim = simulator(limits=False)
    sim.variables["SIM_HOST"] = gateway
    if authority:
        sim.variables["SSL_CERT_FILE"] = str(authority)
    if any_token:
        del sim.variables["SIM_TOKENS"]
    url = url_of(sim).replace("127.0.0.1", gateway)
    with sim:
        sim.wait_for(f"{url}/health")
        yield url


class Control:
    """The simulator's control API over one connection."""

    def __init__(self, telegram: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(telegram).netloc, timeout=30)

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Return the result of one request."""
        text = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json"}
        self._connection.request(method, path, text, headers)
        answer = json.loads(self._connection.getresponse().read())
        assert answer["ok"], answer
        return answer["result"]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def bot(self) -> dict[str, Any]:
        """Return how the only bot stands."""
        bots = self.ask("GET", "/sim/overview")["bots"]
        return dict(bots[0]) if bots else {"polls": 0, "polls_in_flight": 0, "overlap_count": 0}
