"""One of three servers stands still, is cut off with the bot that polls, or loses its power.

It comes back by itself each time. Ten commands a second are written throughout: each is stored
once, on each copy, and no two bots poll at once.
"""

import time

import pytest

from tests.deploy.stores import wait_until_there
from tests.group.servers import ENVIRONMENT, NAMES, Three
from tests.scale.servers import until

pytestmark = [pytest.mark.timeout(1200), pytest.mark.usefixtures("brought_up")]
HELD = 15.0
"""Seconds that a fault lasts; another Redis is written to after half of it."""
PAUSE = 120.0


def check_each_copy(group: Three) -> None:
    """Hold each server to having all that was written, once."""
    for server in group.servers.values():
        wait_until_there(server, group.traffic.sent)
    assert group.project.run("status", ENVIRONMENT)[0] == 0


def test_a_server_stands_still_while_it_leads(group: Three) -> None:
    """Another one is written to meanwhile; what it holds when it goes on changes nothing."""
    frozen = group.primary("one")
    other = next(name for name in NAMES if name != frozen)
    group.traffic.server = group.servers[other]
    with group.traffic.case("Redis' server stands still", PAUSE):
        group.servers[frozen].sh("docker pause $(docker ps -q)")
        time.sleep(HELD)
        assert group.primary(other) != frozen
        group.servers[frozen].sh("docker unpause $(docker ps -q)")
        group.wait_until_whole(NAMES[0])
    check_each_copy(group)


def test_the_server_that_leads_and_polls_is_cut_off(group: Three) -> None:
    """It still reaches Telegram, and confirms nothing there that only it has stored."""
    alone = group.primary("one")
    group.have_poll(alone)
    others = [name for name in NAMES if name != alone]
    group.traffic.server = group.servers[others[0]]
    with group.traffic.case("Redis' server cut off, its bot polls", PAUSE):
        for name in others:
            group.close(alone, name)
        time.sleep(HELD)
        assert group.primary(others[0]) != alone
        until(lambda: any(map(group.polls, others)), "another bot polls")
        for name in others:
            group.open(alone, name)
        group.wait_until_whole(NAMES[0])
    check_each_copy(group)


def test_the_server_with_postgresql_s_leader_loses_its_power(group: Three) -> None:
    """The others have heard nothing of it for a second; then its power is back."""
    lost = next(name for name in NAMES if group.leads_postgres(name))
    others = [name for name in NAMES if name != lost]
    group.traffic.server = group.servers[others[0]]
    with group.traffic.case("power cut of PostgreSQL's server, and back", PAUSE):
        for name in others:
            group.close(lost, name)
        time.sleep(1.0)
        group.cut(lost)
        until(lambda: any(map(group.leads_postgres, others)), "another one leads")
        group.come_back(lost)
        group.wait_until_whole(NAMES[0])
    check_each_copy(group)
