"""Releases that are no good, and a server without room: the old release runs on."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.keys import dead_letters_of, previous_dead_letters_of
from tests.deploy.points import Points, deploy_until
from tests.deploy.project import HOST, SERVICES, Project
from tests.deploy.server import READY, Server
from tests.deploy.stores import STREAM, ask_redis
from tests.deploy.traffic import Traffic

pytestmark = pytest.mark.timeout(600)
ROOT = "/data/herald"
OURS, DOCKERS = "/data", "/var/lib/docker/containers"
# Disks that can be filled without filling this machine, nor that of Redis, which would rather end.
SMALL = (
    *("--tmpfs", "/var/lib/docker:rw,exec,suid,dev,size=4500m"),
    *("--tmpfs", f"{DOCKERS}:rw,exec,suid,dev,size=64m"),
    *("--tmpfs", f"{OURS}:rw,size=2000m"),
)
BOT = "services/tg_bot/src/tg_bot/__main__.py"
HEALTH = "health: {http: /health, port: 8080}"
QUICK = "interval: 1s, timeout: 1s, retries: 2, start_period: 1s"
RUNS = "    return run_bot("
SICK = f"""\
    from shared.telegram.updates.state import PollState
    PollState.moves = property(lambda _: not __import__("os").path.exists("/tmp/sick"))
{RUNS}"""
COMMANDS = "services/backend/src/backend/commands.py"
STORE = '    """Insert a row for each command."""\n'
PUBLISHED = "      tests: [0]\n    env:\n      DATABASE_URL"
TAKEN = "      tests: [0]\n      prod: [22]\n    env:\n      DATABASE_URL"
LESS_PATIENCE = ("deploy/agent/cutover/smoke.py", "\nWITHIN = 30.0\n", "\nWITHIN = 5.0\n")
RAISES = '    raise RuntimeError("on purpose")\n'
GIVEN_BACK = " events that were buried meanwhile are with their consumers again"
NO_SMOKE = """\
    if any(event.command == "/smoke" for event, _ in events):
        raise TryLaterError("on purpose")
"""
IMPORT = "from shared.generated.events import "


@pytest.fixture(scope="module")
def server(servers_can_be_made: None, folder: Path) -> Iterator[Server]:
    """A server with little room."""
    with Server(folder, READY, SMALL) as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def released(project: Project, server: Server) -> None:
    """A first release runs."""
    project.data["root"] = ROOT
    project.succeed("deploy", HOST)


def fails(project: Project, server: Server, *words: str) -> str:
    """Deploy what has to be rolled back; return what was said."""
    before = server.containers()
    code, output = project.run("deploy", HOST)
    assert code == 1, output
    assert "Traceback" not in output
    for word in (*words, "rolled back: release "):
        assert word in output, output
    assert server.containers() == before
    project.succeed("status", HOST)
    return output


def test_an_image_that_ends_at_once(project: Project, server: Server, traffic: Traffic) -> None:
    """Its last words are shown."""
    with project.undone(), traffic.case("image that exits at once"):
        project.replace(BOT, "import gc\n", 'raise SystemExit("broken on purpose")\n')
        fails(project, server, "tg_bot has ended by itself", "broken on purpose")


def test_an_image_without_its_entry_point(
    project: Project, server: Server, traffic: Traffic
) -> None:
    """What the container's init says is shown."""
    with project.undone(), traffic.case("image without its entry point"):
        project.replace("services/Dockerfile", 'CMD ["', 'ENTRYPOINT ["/nowhere"]\nCMD ["')
        fails(project, server, "backend: ", "exec /nowhere failed: No such file")


def test_a_container_that_cannot_be_started(
    project: Project, server: Server, traffic: Traffic
) -> None:
    """The engine's own reason is shown: here a port that somebody else has."""
    with project.undone(), traffic.case("container that cannot be started"):
        project.replace("services.yml", PUBLISHED, TAKEN)
        fails(project, server, "backend cannot be started: ", "address already in use")


def test_a_bot_that_is_not_healthy(project: Project, server: Server, traffic: Traffic) -> None:
    """What its health check says is shown."""
    with project.undone(), traffic.case("failing health check"):
        project.replace("services.yml", HEALTH, f"health: {{http: /no, port: 8080, {QUICK}}}")
        output = fails(project, server, "tg_bot is not healthy after", "its health check says:")
    assert "404" in output
    assert "its last lines:" in output


def test_a_backend_that_does_nothing_with_events(
    project: Project, server: Server, traffic: Traffic
) -> None:
    """It is healthy, and the smoke test fails; the event is gone from stream and table."""
    with project.undone(), traffic.case("failing smoke test"):
        project.replace(*LESS_PATIENCE)
        project.replace(COMMANDS, STORE, STORE + NO_SMOKE)
        project.replace(COMMANDS, IMPORT, f"{IMPORT}TryLaterError, ")
        fails(project, server, "smoke test: group backend has not consumed the event")


@pytest.mark.parametrize("moment", ["", "smoke: docker exec * EVAL"])
def test_what_an_undone_release_has_buried_is_handled_by_the_old_one(
    moment: str, project: Project, server: Server, traffic: Traffic, points: Points
) -> None:
    """Its handler raises on everything, and every sender has read that it was published.

    What had been buried before stays where it is. An agent that dies before it has given anything
    back leaves that to the boot.
    """
    name = "handler that raises on everything"
    with project.undone(), traffic.case(f"{name}, agent killed" if moment else name):
        bury_one(server)
        before = dead_letters(server)
        project.replace(COMMANDS, STORE, STORE + RAISES)
        output = (
            fails_by_boot(project, server, points, moment) if moment else fails(project, server)
        )
    assert GIVEN_BACK in output
    count = int(output.partition(GIVEN_BACK)[0].split()[-1])
    assert count > 0
    assert audited(server, "given back")[-1]["count"] == count
    assert dead_letters(server) == before


def fails_by_boot(project: Project, server: Server, points: Points, moment: str) -> str:
    """Deploy what has to be undone with an agent that dies; return what the boot's says."""
    points.kill(moment)
    code, output = project.run("deploy", HOST)
    assert code == 69, output
    assert "smoke test: " in output
    output = server.sh(f"python3 {ROOT}/agent.pyz --root {ROOT} --who boot recover")
    project.succeed("status", HOST)
    return output


def bury_one(server: Server) -> None:
    """Bury an entry that was handled long ago."""
    entry = ask_redis(server, f"XRANGE {STREAM} - + COUNT 1")[0][0]
    letter = f"event_id x reason x group backend entry_id {entry}"
    ask_redis(server, f'XADD {dead_letters_of(STREAM)} "*" {letter}')


def dead_letters(server: Server) -> list[str]:
    """Return the ids of all dead letters."""
    keys = (dead_letters_of(STREAM), previous_dead_letters_of(STREAM))
    pages = [ask_redis(server, f"XRANGE {key} - +") for key in keys]
    return [letter for page in pages for letter, _ in page]


def audited(server: Server, phase: str) -> list[dict[str, Any]]:
    """Return the audit's lines of one phase."""
    lines = map(json.loads, server.sh(f"cat {ROOT}/state/audit.jsonl").splitlines())
    return [line for line in lines if line["phase"] == phase]


def test_an_old_release_that_is_not_healthy_any_more(
    project: Project, server: Server, traffic: Traffic
) -> None:
    """A bad release goes back to it and says how it is; a good one takes its place."""
    with project.undone(), traffic.case("unhealthy old release"):
        project.replace("services/tg_bot/src/tg_bot/main.py", RUNS, SICK)
        project.replace("services.yml", HEALTH, f"{HEALTH[:-1]}, {QUICK}}}")
        project.succeed("deploy", HOST)
        server.sh(f"docker exec {server.containers()['tg_bot']} touch /tmp/sick")
        with project.undone():
            project.replace(BOT, "import gc\n", 'raise SystemExit("broken on purpose")\n')
            fails(project, server, "tg_bot is back, but tg_bot is not healthy")
        with project.other_settings(LOG_LEVEL="WARNING"):
            project.succeed("deploy", HOST)
    assert set(server.containers()) == SERVICES


def test_a_disk_without_room_is_told_before_anything_changes(
    project: Project, server: Server, traffic: Traffic
) -> None:
    """One line says how much is there and how much is needed."""
    before, release = server.containers(), server.current(ROOT)
    with project.undone(), traffic.case("full disk before the deploy"):
        project.new_version("tg_bot", "no room")
        fill(server, OURS)
        code, output = project.run("deploy", HOST)
        server.sh(f"rm {OURS}/full")
        assert code == 69, output
        assert "the host's disk has 0 MB free and" in output.splitlines()[-1]
    assert server.containers() == before
    assert server.current(ROOT) == release


@pytest.mark.parametrize("disk", [OURS, DOCKERS])
def test_a_disk_that_becomes_full_in_the_cut_over(
    disk: str, project: Project, server: Server, traffic: Traffic, points: Points
) -> None:
    """The old release runs on, and nothing of the new one is left."""
    before = server.containers()
    with (
        project.other_settings(LOG_LEVEL="ERROR"),
        traffic.case(f"full disk in the cut-over: {disk}"),
    ):
        process = deploy_until(project, points, "switch backend")
        fill(server, disk)
        points.go_on()
        output = process.communicate()[0]
        server.sh(f"rm {disk}/full")
        assert process.returncode == 1, output
        assert "no space left on device" in output.lower()
        assert "rolled back: release " in output
    assert server.containers() == before
    project.succeed("status", HOST)


def fill(server: Server, disk: str) -> None:
    """Leave no room on a disk."""
    server.sh(f"for size in 1M 1k; do dd if=/dev/zero bs=$size >>{disk}/full 2>/dev/null; done; :")
