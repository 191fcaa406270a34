"""Everything that takes part in a deploy dies in the middle of it, under a steady stream."""

import itertools
import json
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from deploy.server import scheduled
from tests.deploy.points import Points, deploy_until
from tests.deploy.project import HOST, SERVICES, Project, wait_for
from tests.deploy.server import ON_DISK, READY, Server
from tests.deploy.stores import LABEL
from tests.deploy.traffic import Traffic

pytestmark = pytest.mark.timeout(600)
STORE_CHANGES = ("services.yml", "persistence: always", "persistence: everysec")
LEVELS = itertools.cycle(("WARNING", "INFO"))
UNNAMED = "docker images -q --filter dangling=true"
COUNT = itertools.count(31)
UNDONE = "rolled back"
DEATHS = (
    *("begun", "create", "switch backend", "switch tg_bot: docker stop"),
    *("smoke", "commit", "commit: docker rm"),
)


@pytest.fixture(scope="module")
def server(servers_can_be_made: None, folder: Path) -> Iterator[Server]:
    """A server whose disk outlives a power cut."""
    with Server(folder, READY, ON_DISK) as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def released(project: Project, server: Server, points: Points) -> None:
    """A first release runs."""
    project.succeed("deploy", HOST)


def other_bot(project: Project) -> AbstractContextManager[None]:
    """Deploy a bot inside the block that no other block has deployed."""
    return project.other_settings(REPLIES_PER_SECOND=str(next(COUNT)))


def other_release(project: Project) -> AbstractContextManager[None]:
    """Deploy another bot and another backend inside the block."""
    settings = {"LOG_LEVEL": next(LEVELS), "REPLIES_PER_SECOND": str(next(COUNT))}
    return project.other_settings(**settings)


def last_phases(server: Server) -> list[str]:
    """Return the phases of the newest audit lines, newest first."""
    lines = server.sh("tail -n 40 /srv/herald/state/audit.jsonl").splitlines()
    return [line.partition('"phase": "')[2].partition('"')[0] for line in reversed(lines)]


@pytest.mark.parametrize("moment", [*DEATHS, ""])
def test_a_cut_over_that_dies_is_settled_by_the_next_deploy(
    moment: str, project: Project, server: Server, traffic: Traffic, points: Points
) -> None:
    """Each deploy settles the one before and dies itself, but for the last; the bot goes on.

    Before the commit it is undone, after it finished.
    """
    left = server.sh("cat /srv/herald/state/journal.json 2>/dev/null || echo '{}'")
    with (
        other_release(project),
        traffic.case(f"agent killed at '{moment}'" if moment else "settled"),
    ):
        if moment:
            points.kill(moment)
        code, output = project.run("deploy", HOST)
        assert code == (69 if moment else 0), output
        assert ("the cut-over died on the host; run the same command again" in output) == bool(
            moment
        )
        code, status = project.run("status", HOST)
        assert code == (2 if moment else 0)
        assert ("died; the next deploy undoes or finishes it" in status) == bool(moment)
    phase = json.loads(left).get("phase")
    assert ("rolled back: release " in output) == (phase == "begun")
    assert (f"release {json.loads(left).get('release')} runs" in output) == (phase == "committed")
    if not moment:
        assert set(server.containers()) == SERVICES


@pytest.mark.parametrize("moment", ["backup", "switch redis: docker start"])
def test_a_change_of_redis_that_dies_is_undone(
    moment: str, project: Project, server: Server, traffic: Traffic, points: Points
) -> None:
    """The old Redis runs again with all of its data; commands wait at Telegram meanwhile."""
    before = server.containers()
    name = f"agent killed at '{moment}' (Redis, backend and bot)"
    with project.undone(), other_release(project), traffic.case(name):
        project.replace(*STORE_CHANGES)
        points.kill(moment)
        code, output = project.run("deploy", HOST)
        assert code == 69, output
        project.succeed("rollback", HOST, f"to={server.current()}")
    assert server.containers()["redis"] == before["redis"]


def test_undoing_that_dies_is_done_again(
    project: Project, server: Server, traffic: Traffic, points: Points
) -> None:
    """A second death, in the middle of the recovery, changes nothing about its end.

    The first one is in the smoke test: its event is removed too.
    """
    before = server.containers()
    with other_bot(project), traffic.case("agent killed while undoing"):
        points.kill("smoke: docker exec * XREAD")
        assert project.run("deploy", HOST)[0] == 69
        points.kill(": docker rm", "recover")
        assert project.run("rollback", HOST)[0] != 0
        points.wait()
        output = project.succeed("deploy", HOST)
        assert "rolled back: " in output
    assert server.containers()["tg_bot"] != before["tg_bot"]
    assert set(server.containers()) == SERVICES


def test_a_connection_lost_while_sending_changes_nothing(
    project: Project, server: Server, traffic: Traffic
) -> None:
    """The deployer says so, and the same deploy then goes through."""
    before = server.containers()
    with project.undone(), traffic.case("SSH killed while sending"):
        project.new_version("tg_bot", "lost while sending")
        process = project.start("deploy", HOST)
        wait_for(process, "sending tg_bot")
        server.close_connections()
        output = process.communicate()[0]
        assert process.returncode == 69, output
        assert "Traceback" not in output
        assert server.containers() == before
        project.succeed("deploy", HOST)
    assert server.containers()["tg_bot"] != before["tg_bot"]


def test_a_connection_lost_before_the_cut_over_changes_nothing(
    project: Project, server: Server, traffic: Traffic, points: Points
) -> None:
    """The release is on the server and nothing uses it; the same deploy then goes through."""
    before = server.containers()
    with other_bot(project), traffic.case("SSH killed before the cut-over"):
        process = deploy_until(project, points, ": docker", "tag")
        server.close_connections()
        output = process.communicate()[0]
        assert process.returncode == 69, output
        assert server.containers() == before
        points.go_on()
        project.succeed("deploy", HOST)
    assert server.containers()["tg_bot"] != before["tg_bot"]


def test_an_image_that_was_sent_and_never_named_goes_with_the_next_deploy(
    project: Project, server: Server, traffic: Traffic, points: Points
) -> None:
    """Nothing else would ever clear it away: no release knows it."""
    with other_bot(project), traffic.case("agent killed before it names an image"):
        with project.undone():
            project.new_version("tg_bot", "never named")
            points.kill(": docker", "tag")
            assert project.run("deploy", HOST)[0] != 0
        assert server.sh(UNNAMED)
        project.succeed("deploy", HOST)
    assert not server.sh(UNNAMED)


def test_a_deployer_that_has_lost_its_lock_changes_nothing(
    project: Project, server: Server, traffic: Traffic, points: Points
) -> None:
    """Whoever has taken it meanwhile is named."""
    before = server.containers()
    with other_bot(project), traffic.case("deployer that has lost its lock"):
        process = deploy_until(project, points, ": docker", "tag")
        project.succeed("unlock", HOST)
        project.succeed("lock", HOST, "reason=mine now")
        points.go_on()
        output = process.communicate()[0]
        assert process.returncode == 75, output
        assert "locked by " in output
        assert "mine now" in output
    project.succeed("unlock", HOST)
    assert server.containers() == before


@pytest.mark.parametrize("moment", ["switch tg_bot: docker stop", "smoke"])
def test_a_connection_lost_in_the_cut_over_is_taken_up_again(
    moment: str, project: Project, server: Server, traffic: Traffic, points: Points
) -> None:
    """The cut-over goes on without it, and the deployer sees its end."""
    with other_bot(project), traffic.case(f"SSH killed at '{moment}'"):
        process = deploy_until(project, points, moment)
        server.close_connections()
        wait_for(process, "the connection was lost; following again")
        points.go_on()
        output = process.communicate()[0]
        assert process.returncode == 0, output
        assert " runs (1 changed" in output
    assert set(server.containers()) == SERVICES


def test_a_deployer_killed_in_the_cut_over_is_not_needed(
    project: Project, server: Server, traffic: Traffic, points: Points
) -> None:
    """The release runs in the end; the same deploy then has nothing to do."""
    with other_bot(project), traffic.case("deployer killed in the cut-over"):
        process = deploy_until(project, points, "switch tg_bot")
        process.send_signal(signal.SIGKILL)
        process.communicate()
        points.go_on()
        server.wait_until("test ! -e /srv/herald/state/journal.json")
        project.succeed("unlock", HOST)
        assert "nothing to do" in project.succeed("deploy", HOST)


def test_an_engine_that_dies_in_the_cut_over_leaves_the_old_release(
    project: Project, server: Server, traffic: Traffic, points: Points
) -> None:
    """The cut-over waits for the engine, undoes what it did, and says why."""
    before = server.containers()
    with other_bot(project), traffic.case("Docker engine killed in the cut-over"):
        process = deploy_until(project, points, "switch tg_bot: docker stop")
        agent = points.held()
        # In one breath: the engine is back after half a second.
        server.sh(f"kill -9 $(cat /run/docker.pid) && kill -CONT {agent}")
        output = process.communicate()[0]
        assert process.returncode == 1, output
        assert "rolled back: " in output
    assert server.containers() == before
    project.succeed("status", HOST)


@pytest.fixture(scope="module")
def boots(server: Server) -> None:
    """Have the server do at boot what `provision` tells it to, with cron for its init."""
    server.sh("apt-get update -qq && apt-get install -qq --yes cron >/dev/null 2>&1")
    ((path, text),) = scheduled.files("/srv/herald", "", systemd=False).items()
    line = next(line for line in text.splitlines() if line.endswith(" recover"))
    server.sh(f"echo '{line}' >{path}")


def test_a_power_cut_in_the_cut_over_is_undone_by_the_boot(
    project: Project, server: Server, traffic: Traffic, points: Points, boots: None
) -> None:
    """No deployer is needed for the old bot, which was stopped already, to poll again."""
    before = server.containers()
    with other_bot(project), traffic.case("power cut with the old bot stopped"):
        process = deploy_until(project, points, "smoke")
        assert server.containers()["tg_bot"] != before["tg_bot"]
        process.send_signal(signal.SIGKILL)
        process.communicate()
        server.cut_power()
        server.run_boot_jobs()
        server.wait_until("test ! -e /srv/herald/state/journal.json")
        assert last_phases(server)[0] == UNDONE
    assert server.containers() == before
    project.succeed("unlock", HOST)
    project.succeed("status", HOST)


def test_a_power_cut_never_starts_two_servers_on_one_volume(
    project: Project, server: Server, traffic: Traffic, points: Points, boots: None
) -> None:
    """Of two Redis containers the engine starts the newer one only; the boot then undoes that."""
    before = server.containers()
    with project.undone(), traffic.case("power cut while Redis changes"):
        project.replace(*STORE_CHANGES)
        process = deploy_until(project, points, "smoke")
        process.send_signal(signal.SIGKILL)
        process.communicate()
        server.cut_power()
        (redis,) = server.sh(f"docker ps -q --no-trunc --filter {LABEL}=redis").split()
        assert redis != before["redis"]
        server.run_boot_jobs()
        server.wait_until("test ! -e /srv/herald/state/journal.json")
    assert server.containers() == before
    project.succeed("unlock", HOST)
    project.succeed("status", HOST)


def test_a_boot_starts_what_is_stopped(
    project: Project, server: Server, traffic: Traffic, boots: None
) -> None:
    """Also where no cut-over is unfinished, and the engine itself would leave it stopped."""
    with traffic.case("boot with a stopped bot"):
        bot = server.containers()["tg_bot"]
        server.sh(f"docker update --restart no {bot} && docker stop {bot}")
        assert project.run("status", HOST)[0] == 2
        server.cut_power()
        server.run_boot_jobs()
        server.wait_until(f"docker ps -q --no-trunc | grep {bot}")
    project.succeed("status", HOST)
