"""What three servers share is replaced by a backup."""

import pytest

from tests.deploy.project import wait_for
from tests.deploy.stores import wait_until_there
from tests.group.servers import ENVIRONMENT, Three

pytestmark = pytest.mark.timeout(1200)
BACKED_UP = "is in /srv/herald/backups"


@pytest.fixture(autouse=True)
def brought_up(group: Three) -> None:
    """Three servers run, as the cases beside these leave them."""
    if not group.servers["one"].succeeds("test -e /srv/herald/current"):
        group.deploy()


def test_a_backup_is_put_in_place_on_all(group: Three) -> None:
    """It holds what was saved and nothing of afterwards, on each copy; the bots go on.

    What is written while it is put in place waits at Telegram.
    """
    saved = group.traffic.write(20, "saved")
    for server in group.servers.values():
        wait_until_there(server, group.traffic.sent)
    saved = list(group.traffic.sent)
    output = group.project.succeed("backup", ENVIRONMENT)
    name = next(line for line in output.splitlines() if BACKED_UP in line).split()[2]
    group.traffic.write(5, "gone")
    wait_until_there(group.servers["one"], group.traffic.sent)
    before = {name: server.containers() for name, server in group.servers.items()}
    for words, code, line in (
        ((f"from={name}", "host=one"), 64, "share their stores"),
        (("from=20200101T000000Z", ENVIRONMENT), 64, f"{name}"),
        ((ENVIRONMENT,), 64, f"{name}"),
        (("from=./no-backup", ENVIRONMENT), 64, "is no backup"),
    ):
        said = group.project.run("restore", *words)
        assert (said[0], line in said[1]) == (code, True), said[1]
    assert {name: server.containers() for name, server in group.servers.items()} == before
    process = group.project.start("restore", ENVIRONMENT, f"from={name}")
    wait_for(process, BACKED_UP)
    group.traffic.sent = saved
    with group.traffic.case("a backup put in place of what three share"):
        output, _ = process.communicate()
    assert process.returncode == 0, output
    assert "the copies are whole" in output
    for server in group.servers.values():
        wait_until_there(server, group.traffic.sent)
    assert {name: server.containers() for name, server in group.servers.items()} == before
    assert group.project.run("status", ENVIRONMENT)[0] == 0
