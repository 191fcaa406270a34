"""A simulator that containers on a test server reach, as we do."""

import ipaddress
import json
from collections.abc import Iterator
from contextlib import contextmanager

from tests.deploy.server import docker
from tests.processes import simulator, url_of


@contextmanager
def reachable_simulator(*, any_token: bool = False) -> Iterator[str]:
    """Run a simulator inside the block; its address is the value.

    Args:
        any_token: Accept every token of the right shape, so that none has to be in the simulator's
            environment.
    """
    (bridge,) = json.loads(docker("network", "inspect", "bridge"))
    subnet = ipaddress.ip_network(bridge["IPAM"]["Config"][0]["Subnet"])
    gateway = str(next(subnet.hosts()))
    sim = simulator(limits=False)
    sim.variables["SIM_HOST"] = gateway
    if any_token:
        del sim.variables["SIM_TOKENS"]
    url = url_of(sim).replace("127.0.0.1", gateway)
    with sim:
        sim.wait_for(f"{url}/health")
        yield url
