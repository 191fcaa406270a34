"""Three servers that share their stores: brought up, changed, one lost and replaced.

Ten commands a second are written throughout. Whatever is done, each is stored once, and no two bots
poll at once. Each test goes on where the one before it ended.
"""

import json
import re
from itertools import pairwise

import pytest

from tests.deploy.connections import TRY
from tests.deploy.project import SERVICES
from tests.deploy.server import BARE, docker
from tests.group.servers import ENVIRONMENT, NAMES, Three

pytestmark = pytest.mark.timeout(1200)
EVERYTHING = {*SERVICES, "redis_sentinel", "postgres_etcd"}
TWO_PAUSE = 240.0
NO_CHANGE = "nothing to do: {} runs just so"


def strangers_ports(group: Three, name: str) -> set[int]:
    """Return the ports of a server that one who is no member of the group can connect to."""
    address = group.addresses[name]
    places = [word for port in (22, 6379, 2379, 5432) for word in (address, str(port))]
    run = ("run", "--rm", "--network", group.network, "--entrypoint", "python3", BARE, "-c", TRY)
    return {int(line.split()[1]) for line in docker(*run, *places).splitlines()}


def turns(group: Three) -> list[tuple[str, float, float]]:
    """Return when each server's newest cut-over began and ended, by the servers' own clocks."""
    spans = []
    for name, server in group.servers.items():
        lines = server.sh("cat /srv/herald/state/audit.jsonl").splitlines()
        phases = [json.loads(line) for line in lines]
        begun = [line["at"] for line in phases if line["phase"] == "begun"][-1]
        done = [line["at"] for line in phases if line["phase"] == "done"][-1]
        spans.append((name, begun, done))
    return sorted(spans, key=lambda span: span[1])


def test_two_hosts_or_one_of_three_are_refused(group: Three) -> None:
    """Before anything changes: nothing is built, nothing is sent, and the line says what to do."""
    code, output = group.project.run("deploy", "host=two")
    assert (code, "share their stores" in output, "env=staging" in output) == (64, True, True)
    own = group.project.own["three"].pop("private_address")
    code, output = group.project.run("deploy", ENVIRONMENT)
    group.project.own["three"]["private_address"] = own
    assert (code, "three has no private_address" in output) == (78, True), output
    assert not any(server.succeeds("test -e /srv/herald") for server in group.servers.values())


def test_a_private_address_that_does_not_lead_there_is_refused(group: Three) -> None:
    """One that no server has, and one at which the firewall lets nobody in."""
    group.project.own["three"]["private_address"] = "192.0.2.9"
    code, output = group.project.run("deploy", ENVIRONMENT)
    group.project.own["three"]["private_address"] = group.addresses["three"]
    assert (code, "192.0.2.9 is no address of this server" in output) == (78, True), output
    group.close("three", "two")
    code, output = group.project.run("deploy", ENVIRONMENT)
    group.open("three", "two")
    line = f"three is not reached at {group.addresses['three']} from {group.addresses['two']}"
    assert (code, line in output) == (69, True), output
    assert len(output.splitlines()) == 2  # neither answers the other
    assert not any(server.succeeds("test -e /srv/herald") for server in group.servers.values())


def test_three_are_brought_up(group: Three) -> None:
    """At once; commands that were written before arrive, and the stores are nobody else's."""
    with group.traffic.case("three brought up"):
        output = group.deploy()
    assert "the copies of all servers are whole" in output
    for name, server in group.servers.items():
        assert set(server.containers()) == EVERYTHING
        assert f"{name}: smoke test passed" in output
        assert strangers_ports(group, name) == {22}
    assert group.project.run("status", ENVIRONMENT)[0] == 0


def test_a_second_deploy_changes_nothing(group: Three) -> None:
    """Though the first one said whose copies begin: every container is the very same."""
    before = {name: server.containers() for name, server in group.servers.items()}
    output = group.deploy()
    for name, server in group.servers.items():
        assert f"{name}: {NO_CHANGE.format(server.current())}" in output
    assert {name: server.containers() for name, server in group.servers.items()} == before


def test_an_upgrade_goes_from_server_to_server(group: Three) -> None:
    """Never two at once; what a server leads it hands over first, and no command is lost."""
    before = {name: server.containers() for name, server in group.servers.items()}
    with group.traffic.case("rolling deploy, stores too"):
        group.project.new_version("backend", "rolled")
        output = group.deploy()
    for name, server in group.servers.items():
        now = server.containers()
        assert {service for service in now if now[service] != before[name][service]} >= {
            *("redis", "redis_sentinel", "postgres", "postgres_etcd", "backend")
        }
    for (_, _, done), (_, begun, _) in pairwise(turns(group)):
        assert done <= begun
    assert re.search(r"redis: [\d.]+ leads", output)
    assert re.search(r"postgres: [\d.]+ leads", output)
    assert output.count("the copies are whole") == len(NAMES)


def test_a_server_is_lost_deployed_around_and_replaced(group: Three) -> None:
    """Its power goes while it leads Redis; a deploy refuses, and goes on with two where asked.

    A new one with the old address and an empty disk then joins by one command.
    """
    lost = group.primary("one")
    left = [name for name in NAMES if name != lost]
    group.traffic.server = group.servers[left[0]]
    # A majority of two is both: nothing can be written while the stores of one of them change.
    with group.traffic.case("power cut of Redis' server, deploy with two, replaced", TWO_PAUSE):
        group.cut(lost)
        code, output = group.project.run("deploy", ENVIRONMENT)
        assert code == 69
        assert f"make replace host={lost}" in output
        assert f"without={lost}" in output
        group.wait_until_whole(left[0], without=lost)
        group.project.new_version("tg_bot", "with two")
        output = group.deploy(f"without={lost}")
        assert f"{lost}:" not in output
        released = {group.servers[name].current() for name in left}
        assert released == {group.servers[left[0]].current()}
        others = {name: group.servers[name].containers() for name in left}
        group.new_server(lost)
        output = group.project.succeed("replace", f"host={lost}")
        assert f"{lost}: the copies are whole" in output
        assert group.project.run("status", ENVIRONMENT)[0] == 0
        assert set(group.servers[lost].containers()) == EVERYTHING
        assert {name: group.servers[name].containers() for name in left} == others
        saved = group.project.succeed("backup", ENVIRONMENT)
        assert saved.count("another server leads, and backs up") == len(NAMES) - 1
        assert "postgres: " in saved
        assert "redis: " in saved
