"""Releases that are no good, and a server without room: the old release runs on."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.change import new_version, other_settings, replace, undone
from tests.deploy.points import Points
from tests.deploy.project import Project
from tests.deploy.server import READY, Server
from tests.deploy.steady import ASK_REDIS, Steady
from tests.deploy.test_lifecycle import HOST, SERVICES, containers, current

pytestmark = pytest.mark.timeout(600)
ROOT = "/data/herald"
OURS, DOCKERS = "/data", "/var/lib/docker/containers"
# Disks that can be filled without filling this machine, nor that of Redis, which would rather end.
SMALL = (
    *("--tmpfs", "/var/lib/docker:rw,exec,suid,dev,size=3500m"),
    *("--tmpfs", f"{DOCKERS}:rw,exec,suid,dev,size=64m"),
    *("--tmpfs", f"{OURS}:rw,size=1200m"),
)
BOT = "services/tg_bot/src/tg_bot/__main__.py"
HEALTH = "health: {http: /health, port: 8080}"
QUICK = "interval: 1s, timeout: 1s, retries: 2, start_period: 1s"
RUNS = "    return run_bot("
SICK = f"""\
    from shared.telegram.updates.polling import PollState
    PollState.moves = property(lambda _: not __import__("os").path.exists("/tmp/sick"))
{RUNS}"""
COMMANDS = "services/backend/src/backend/commands.py"
STORE = "    async def store(self, event: CommandReceived, delivery: Delivery) -> None:\n"
PUBLISHED = "      tests: [0]\n    env:\n      DATABASE_URL"
TAKEN = "      tests: [0]\n      prod: [22]\n    env:\n      DATABASE_URL"
RAISES = '        raise RuntimeError("on purpose")\n'
GIVEN_BACK = " events that were buried meanwhile are with their consumers again"
NO_SMOKE = '        if event.command == "/smoke":\n            raise TryLaterError("on purpose")\n'


@pytest.fixture(scope="module")
def server(servers_can_be_made: None, folder: Path) -> Iterator[Server]:
    """A server with little room."""
    with Server(folder, READY, SMALL) as one:
        yield one


@pytest.fixture(scope="module", autouse=True)
def released(project: Project, server: Server) -> None:
    """A first release runs."""
    project.data["root"] = ROOT
    project.succeed("deploy", HOST)


def fails(project: Project, server: Server, *words: str) -> str:
    """Deploy what has to be rolled back; return what was said."""
    before = containers(server)
    code, told = project.run("deploy", HOST)
    assert code == 1, told
    assert "Traceback" not in told
    for word in (*words, "rolled back: release "):
        assert word in told, told
    assert containers(server) == before
    project.succeed("status", HOST)
    return told


def test_an_image_that_ends_at_once(project: Project, server: Server, steady: Steady) -> None:
    """Its last words are shown."""
    with undone(project), steady.case("image that exits at once"):
        replace(project, BOT, "import gc\n", 'raise SystemExit("broken on purpose")\n')
        fails(project, server, "tg_bot has ended by itself", "broken on purpose")


def test_an_image_without_its_entry_point(project: Project, server: Server, steady: Steady) -> None:
    """What the container's init says is shown."""
    with undone(project), steady.case("image without its entry point"):
        replace(project, "services/Dockerfile", 'CMD ["', 'ENTRYPOINT ["/nowhere"]\nCMD ["')
        fails(project, server, "tg_bot has ended by itself", "/nowhere")


def test_a_container_that_cannot_be_started(
    project: Project, server: Server, steady: Steady
) -> None:
    """The engine's own reason is shown: here a port that somebody else has."""
    with undone(project), steady.case("container that cannot be started"):
        replace(project, "services.yml", PUBLISHED, TAKEN)
        fails(project, server, "backend cannot be started: ", "address already in use")


def test_a_bot_that_is_not_healthy(project: Project, server: Server, steady: Steady) -> None:
    """What its health check says is shown."""
    with undone(project), steady.case("failing health check"):
        replace(project, "services.yml", HEALTH, f"health: {{http: /no, port: 8080, {QUICK}}}")
        told = fails(project, server, "tg_bot is not healthy after", "its health check says:")
    assert "404" in told
    assert "its last lines:" in told


def test_a_backend_that_does_nothing_with_events(
    project: Project, server: Server, steady: Steady
) -> None:
    """It is healthy, and the smoke test fails; the event is gone from stream and table."""
    with undone(project), steady.case("failing smoke test"):
        replace(project, COMMANDS, STORE, STORE + NO_SMOKE)
        replace(
            project, COMMANDS, "import Delivery, Limits,", "import Delivery, Limits, TryLaterError,"
        )
        fails(project, server, "smoke test: group backend has not consumed the event")


@pytest.mark.parametrize("moment", ["", "smoke: docker exec * EVAL"])
def test_what_an_undone_release_has_buried_is_handled_by_the_old_one(
    moment: str, project: Project, server: Server, steady: Steady, points: Points
) -> None:
    """Its handler raises on everything, and every sender has read that it was published.

    What had been buried before stays where it is. An agent that dies before it has given anything
    back leaves that to the boot.
    """
    name = "handler that raises on everything"
    with undone(project), steady.case(f"{name}, agent killed" if moment else name):
        bury_one(server)
        before = dead_letters(server)
        replace(project, COMMANDS, STORE, STORE + RAISES)
        told = fails_by_boot(project, server, points, moment) if moment else fails(project, server)
    assert GIVEN_BACK in told
    count = int(told.partition(GIVEN_BACK)[0].split()[-1])
    assert count > 0
    assert audited(server, "given back")[-1]["count"] == count
    assert dead_letters(server) == before


def fails_by_boot(project: Project, server: Server, points: Points, moment: str) -> str:
    """Deploy what has to be undone with an agent that dies; return what the boot's says."""
    points.kill(moment)
    code, told = project.run("deploy", HOST)
    assert code == 69, told
    assert "smoke test: " in told
    told = server.sh(f"python3 {ROOT}/agent.pyz --root {ROOT} --who boot recover")
    project.succeed("status", HOST)
    return told


def bury_one(server: Server) -> None:
    """Bury an entry that was handled long ago."""
    entry = json.loads(server.sh(ASK_REDIS % "XRANGE command_received - + COUNT 1"))[0][0]
    letter = f"event_id x reason x group backend entry_id {entry}"
    server.sh(ASK_REDIS % f'XADD {{command_received}}.dlq "*" {letter}')


def dead_letters(server: Server) -> list[str]:
    """Return the ids of all dead letters."""
    keys = ("{command_received}.dlq", "command_received.dlq")
    pages = [json.loads(server.sh(ASK_REDIS % f"XRANGE {key} - +")) for key in keys]
    return [letter for page in pages for letter, _ in page]


def audited(server: Server, phase: str) -> list[dict[str, Any]]:
    """Return the audit's lines of one phase."""
    lines = map(json.loads, server.sh(f"cat {ROOT}/state/audit.jsonl").splitlines())
    return [line for line in lines if line["phase"] == phase]


def test_an_old_release_that_is_not_healthy_any_more(
    project: Project, server: Server, steady: Steady
) -> None:
    """A bad release goes back to it and says how it is; a good one takes its place."""
    with undone(project), steady.case("unhealthy old release"):
        replace(project, "services/tg_bot/src/tg_bot/main.py", RUNS, SICK)
        replace(project, "services.yml", HEALTH, f"{HEALTH[:-1]}, {QUICK}}}")
        project.succeed("deploy", HOST)
        server.sh(f"docker exec {containers(server)['tg_bot']} touch /tmp/sick")
        with undone(project):
            replace(project, BOT, "import gc\n", 'raise SystemExit("broken on purpose")\n')
            fails(project, server, "tg_bot is back, but tg_bot is not healthy")
        with other_settings(project, LOG_LEVEL="WARNING"):
            project.succeed("deploy", HOST)
    assert set(containers(server)) == SERVICES


def test_a_disk_without_room_is_told_before_anything_changes(
    project: Project, server: Server, steady: Steady
) -> None:
    """One line says how much is there and how much is needed."""
    before, release = containers(server), current(server, ROOT)
    with undone(project), steady.case("full disk before the deploy"):
        new_version(project, "tg_bot", "no room")
        fill(server, OURS)
        code, told = project.run("deploy", HOST)
        server.sh(f"rm {OURS}/full")
        assert code == 69, told
        assert "the host's disk has 0 MB free and" in told.splitlines()[-1]
    assert containers(server) == before
    assert current(server, ROOT) == release


@pytest.mark.parametrize("disk", [OURS, DOCKERS])
def test_a_disk_that_becomes_full_in_the_cut_over(
    disk: str, project: Project, server: Server, steady: Steady, points: Points
) -> None:
    """The old release runs on, and nothing of the new one is left."""
    before = containers(server)
    with (
        other_settings(project, LOG_LEVEL="ERROR"),
        steady.case(f"full disk in the cut-over: {disk}"),
    ):
        points.hold("switch backend")
        process = project.start("deploy", HOST)
        points.held()
        fill(server, disk)
        points.go_on()
        told = process.communicate()[0]
        server.sh(f"rm {disk}/full")
        assert process.returncode == 1, told
        assert "no space left on device" in told.lower()
        assert "rolled back: release " in told
    assert containers(server) == before
    project.succeed("status", HOST)


def fill(server: Server, disk: str) -> None:
    """Leave no room on a disk."""
    server.sh(f"for size in 1M 1k; do dd if=/dev/zero bs=$size >>{disk}/full 2>/dev/null; done; :")
