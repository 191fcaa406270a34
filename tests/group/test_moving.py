"""What three servers share is replaced by a backup, goes to one of them, and to three again."""

import pytest

from deploy.agent.host.errors import DIFFERENT
from tests.deploy.project import SERVICES, wait_for
from tests.deploy.stores import wait_until_there
from tests.group.servers import AGENT, ENVIRONMENT, NAMES, Three

pytestmark = [pytest.mark.timeout(1200), pytest.mark.usefixtures("brought_up")]
MOVED_WITHIN = 300.0
BY_HAND = "python3 /srv/herald/agent.pyz --root /srv/herald move '' --step undo"
BACKED_UP = "is in /srv/herald/backups"


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


def kill_move(group: Three, moving: str, said: str) -> None:
    """Move the data, and kill the deployer where it says something; a boot starts nothing."""
    process = group.project.start("deploy", ENVIRONMENT, moving)
    wait_for(process, said)
    process.kill()
    process.communicate()
    group.project.succeed("unlock", ENVIRONMENT)
    for server in group.servers.values():
        server.sh(f"{AGENT} recover --once")
        assert not {"backend", "tg_bot"} & set(server.containers())
    assert group.project.run("status", ENVIRONMENT)[0] == DIFFERENT


def test_the_data_goes_from_three_to_one_and_back(group: Three) -> None:
    """Each command once, though the deployer dies on both ways: what ran then runs again first.

    The two others have nothing left meanwhile, and never start a bot again.
    """
    keeper = next(name for name in NAMES if name != group.primary("one"))
    moving, others = f"moving={keeper}", [name for name in NAMES if name != keeper]
    before = {name: server.containers() for name, server in group.servers.items()}
    released = {name: server.current() for name, server in group.servers.items()}
    code, output = group.project.run("deploy", ENVIRONMENT, moving)
    assert (code, "for three already: deploy without moving=" in output) == (64, True), output
    group.traffic.server = group.servers[keeper]
    with group.without_copies():
        for words, code, line in (
            ((ENVIRONMENT, "moving=four"), 64, "no server is called 'four'"),
            ((f"host={keeper}", moving), 64, "say env=staging"),
            ((ENVIRONMENT, moving, "from=./somewhere"), 64, "no from="),
            ((ENVIRONMENT, moving, "dry=1"), 0, f"{keeper}: would go on alone"),
        ):
            said = group.project.run("deploy", *words)
            assert (said[0], line in said[1]) == (code, True), said[1]
        assert {name: server.containers() for name, server in group.servers.items()} == before
        with group.traffic.case("three to one, the deployer killed once", MOVED_WITHIN):
            kill_move(group, moving, "the stores of")
            output = group.deploy(moving)
        for name, release in released.items():
            assert f"{name}: {release} runs as before" in output
        assert set(group.servers[keeper].containers()) == SERVICES
        for name in others:
            group.servers[name].sh(f"{AGENT} recover --once")
            assert group.servers[name].sh("docker ps -aq && docker volume ls -q") == ""
        code, output = group.project.run("deploy", ENVIRONMENT)
        assert (code, f"has moved to {keeper}" in output) == (69, True), output
    alone = group.servers[keeper].current()
    with group.traffic.case("one to three, the deployer killed once", MOVED_WITHIN):
        kill_move(group, moving, "the copies are whole")
        output = group.servers[keeper].sh(BY_HAND)
        assert f"{alone} runs as before" in output
        output = group.deploy(moving)
    assert "undoes a move that has died" in output
    assert "the copies of all servers are whole" in output
    for server in group.servers.values():
        wait_until_there(server, group.traffic.sent)
    assert group.project.run("status", ENVIRONMENT)[0] == 0
