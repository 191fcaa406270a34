"""Telegram brings the updates to three servers, and follows when one of them is lost."""

import pytest

from tests.deploy.stores import wait_until_there
from tests.group.servers import NAMES, Three
from tests.scale.servers import until

pytestmark = [pytest.mark.timeout(1200), pytest.mark.usefixtures("brought_up")]


def test_telegram_brings_the_updates_and_a_server_is_lost(group: Three) -> None:
    """From polling to webhooks under way; then the power goes of the server that they come to.

    Another takes over, and says so to Telegram, which brings there what it could not bring before.
    """
    group.have_updates_brought()
    with group.traffic.written() as writer:
        output = group.deploy()
        assert output.count("caddy: switching") == len(NAMES)
        holder = group.brought_to()
        assert holder
        writer.go_on()
        group.cut(holder)
        writer.go_on()
        until(lambda: group.brought_to() not in {holder, ""}, "another server has the updates")
    left = next(name for name in NAMES if name != holder)
    wait_until_there(group.servers[left], group.traffic.sent)
