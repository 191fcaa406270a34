"""From a bare server to a live bot and through its releases, under a steady stream of commands."""

import json
import signal
import time

import pytest

from shared.generated.events import command_received
from tests.deploy.change import new_version, undone
from tests.deploy.project import Project
from tests.deploy.server import Server
from tests.deploy.steady import Steady

pytestmark = pytest.mark.timeout(600)
HOST = "host=staging"
SERVICES = {"redis", "postgres", "backend", "tg_bot"}
AGENT = "python3 $(ls /srv/herald/state/agent-*.pyz | head -n 1) --root /srv/herald"


def containers(server: Server) -> dict[str, str]:
    """Return the id of each service's container."""
    form = '{{.Label "com.docker.compose.service"}} {{.ID}}'
    lines = server.sh(f"docker ps --no-trunc --format '{form}'").splitlines()
    found = dict(line.split() for line in lines)
    assert len(found) == len(lines), f"more than one container of a service: {lines}"
    return found


def current(server: Server, root: str = "/srv/herald") -> str:
    """Return the name of the release that is current."""
    return server.sh(f"basename $(readlink {root}/current)").strip()


def kept(server: Server) -> list[str]:
    """Return the releases that the server keeps, oldest first."""
    return server.sh("cd /srv/herald/releases && dirname */ran").split()


def wait_until(server: Server, script: str) -> None:
    """Return when shell text on the server exits with 0."""
    deadline = time.monotonic() + 120
    while not server.succeeds(script):
        assert time.monotonic() < deadline, f"never true: {script}"
        time.sleep(0.2)


def wait_for(process: object, text: str) -> None:
    """Read what a verb says until a line has this text."""
    for line in process.stdout:  # type: ignore[attr-defined]
        if text in line:
            return
    raise AssertionError(f"{text!r} was never said")


def tells_less(server: Server, release: str) -> None:
    """Leave out of a release what earlier versions of the deployer did not put into it."""
    less = (
        "import json, sys; facts = json.load(open(sys.argv[1])); "
        '[facts.pop(name) for name in ("redis", "streams")]; '
        'json.dump(facts, open(sys.argv[1], "w"))'
    )
    server.sh(f"python3 -c '{less}' /srv/herald/releases/{release}/release.json")


def test_a_server_becomes_a_live_bot(project: Project, server: Server, steady: Steady) -> None:
    """Commands that were written before the first deploy arrive after it."""
    with steady.case("first deploy"):
        told = project.succeed("deploy", HOST)
    assert "smoke test passed" in told
    bill = json.loads(server.sh("cat /srv/herald/current/sbom.json"))
    assert {image["name"] for image in bill["components"]} == SERVICES
    assert set(containers(server)) == SERVICES
    assert "previous: none" in project.succeed("status", HOST)


def test_the_operator_looks_at_dead_letters_and_drops_them(
    project: Project, server: Server, steady: Steady
) -> None:
    """`make dead-letters host=…` may do what no service may, and shows no password."""
    password = server.sh(
        "docker exec $(docker ps -q --filter label=com.docker.compose.service=redis)"
        " cat /run/secrets/REDIS_OPERATOR_PASSWORD"
    ).strip()
    add = f'XADD {command_received.dead_letters} "*" event_id an-id reason no-reason'
    server.sh(
        "docker exec $(docker ps -q --filter label=com.docker.compose.service=redis) sh -c"
        ' \'REDISCLI_AUTH="$(cat /run/secrets/REDIS_OPERATOR_PASSWORD)" redis-cli --user operator '
        f"{add}'"
    )
    listed = project.succeed("dead-letters", HOST)
    (letter,) = (line.split()[0] for line in listed.splitlines() if "no-reason" in line)
    dropped = project.succeed("dead-letters", HOST, f"do=drop {letter}")
    assert f"{letter}  dropped" in dropped
    assert password not in listed + dropped
    assert "no-reason" not in project.succeed("dead-letters", HOST, "do=list")


def test_a_deploy_of_what_runs_restarts_nothing(
    project: Project, server: Server, steady: Steady
) -> None:
    """Every container is the very same one afterwards."""
    before = containers(server)
    with steady.case("no-change deploy"):
        assert "nothing to do" in project.succeed("deploy", HOST)
    assert containers(server) == before
    assert len(kept(server)) == 1


def test_an_upgrade_restarts_what_changed_and_nothing_else(
    project: Project, server: Server, steady: Steady
) -> None:
    """Another bot is another container; then both services change at once."""
    before = containers(server)
    new_version(project, "tg_bot", "two")
    with steady.case("upgrade of the bot"):
        project.succeed("deploy", HOST)
    after = containers(server)
    assert {name for name in SERVICES if before[name] != after[name]} == {"tg_bot"}
    new_version(project, "backend", "two")
    new_version(project, "tg_bot", "three")
    with steady.case("upgrade of backend and bot"):
        project.succeed("deploy", HOST)
    last = containers(server)
    assert {name for name in SERVICES if after[name] != last[name]} == {"backend", "tg_bot"}
    assert len(kept(server)) == 3


def test_a_rollback_goes_to_the_release_before_and_there_again(
    project: Project, server: Server, steady: Steady
) -> None:
    """The second one comes back to where the first began; `to=` reaches any kept release.

    One that was made before releases told of their stores and streams is reached like all others.
    """
    oldest, middle, newest = kept(server)
    tells_less(server, oldest)
    before = containers(server)
    with steady.case("rollback"):
        project.succeed("rollback", HOST)
    assert current(server) == middle
    after = containers(server)
    assert {name for name in SERVICES if before[name] != after[name]} == {"backend", "tg_bot"}
    with steady.case("second rollback"):
        project.succeed("rollback", HOST)
    assert current(server) == newest
    with steady.case("rollback to the oldest release"):
        project.succeed("rollback", HOST, f"to={oldest}")
    assert current(server) == oldest
    assert kept(server) == [oldest, middle, newest]


def test_of_two_deploys_at_once_one_is_refused_and_told_by_whom(
    project: Project, server: Server, steady: Steady
) -> None:
    """The winner's release runs; the other exits with 75."""
    with steady.case("two deploys at once"):
        both = [project.start("deploy", HOST) for _ in range(2)]
        told = [process.communicate()[0] for process in both]
    codes = [process.returncode for process in both]
    assert sorted(codes) == [0, 75], told
    refusal = told[codes.index(75)]
    assert "locked by " in refusal
    assert "(deploy of " in refusal
    assert set(containers(server)) == SERVICES


def test_the_lock_of_a_dead_deployer_ends_by_itself(
    project: Project, server: Server, steady: Steady
) -> None:
    """Until then everybody is refused, afterwards the next one goes on."""
    server.sh(f"{AGENT} --who ada@laptop lock --token dead --seconds 600")
    code, told = project.run("rollback", HOST)
    assert code == 75, told
    assert "locked by ada@laptop" in told
    with undone(project):
        new_version(project, "tg_bot", "refused")
        code, told = project.run("deploy", HOST)
    assert (code, "building" in told) == (75, False), told
    server.sh(f"{AGENT} --who ada@laptop lock --token dead --seconds 1")
    wait_until(server, f"{AGENT} status --project herald | grep -q '\"lock\": null'")
    with steady.case("rollback past a stale lock"):
        project.succeed("rollback", HOST)


def test_a_deployer_killed_while_sending_has_changed_nothing(
    project: Project, server: Server, steady: Steady
) -> None:
    """Its lock can be taken away at once, and the same deploy then goes through."""
    before, release = containers(server), current(server)
    with undone(project), steady.case("deployer killed while sending"):
        new_version(project, "tg_bot", "four")
        process = project.start("deploy", HOST)
        wait_for(process, "sending tg_bot")
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert containers(server) == before
        assert current(server) == release
        code, told = project.run("deploy", HOST)
        assert code == 75, told
        assert "the lock of" in project.succeed("unlock", HOST)
        project.succeed("deploy", HOST)
    assert current(server) > release


@pytest.mark.parametrize("service", ["redis", "postgres"])
def test_a_data_store_that_is_killed_comes_back_with_all_of_its_data(
    service: str, server: Server, steady: Steady
) -> None:
    """Redis reads back what scripts wrote too, with the users that it has in production."""
    with steady.case(f"{service} killed"):
        look = f"docker inspect -f '{{{{.State.Pid}}}}' {containers(server)[service]}"
        pid = server.sh(look).strip()
        server.sh(f"kill -9 {pid}")
        wait_until(server, f"p=$({look}); test $p != 0 && test $p != {pid}")


def test_every_phase_is_in_the_audit(project: Project) -> None:
    """One JSON line each, with who did it."""
    lines = [json.loads(line) for line in project.succeed("audit", HOST).splitlines()]
    phases = {line["phase"] for line in lines}
    assert {"begun", "create", "switch tg_bot", "smoke", "commit", "done"} <= phases
    assert all(line["who"] and line["at"] for line in lines)
