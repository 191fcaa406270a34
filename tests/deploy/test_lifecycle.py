"""From a bare server to a live bot and through its releases, under a steady stream of commands."""

import json
import signal
import time

import pytest

from shared.keys import dead_letters_of
from tests.deploy.project import HOST, SERVICES, Project, wait_for
from tests.deploy.server import Server
from tests.deploy.stores import STREAM
from tests.deploy.traffic import Traffic

pytestmark = pytest.mark.timeout(600)
AGENT = "python3 $(ls /srv/herald/state/agent-*.pyz | head -n 1) --root /srv/herald"


def tells_less(server: Server, release: str) -> None:
    """Leave out of a release what earlier versions of the deployer did not put into it."""
    less = (
        "import json, sys; facts = json.load(open(sys.argv[1])); "
        '[facts.pop(name) for name in ("redis", "streams")]; '
        'json.dump(facts, open(sys.argv[1], "w"))'
    )
    server.sh(f"python3 -c '{less}' /srv/herald/releases/{release}/release.json")


def test_a_server_becomes_a_live_bot(project: Project, server: Server, traffic: Traffic) -> None:
    """Commands that were written before the first deploy arrive after it."""
    with traffic.case("first deploy"):
        output = project.succeed("deploy", HOST)
    assert "smoke test passed" in output
    bill = json.loads(server.sh("cat /srv/herald/current/sbom.json"))
    assert {image["name"] for image in bill["components"]} == SERVICES
    assert set(server.containers()) == SERVICES
    assert "previous: none" in project.succeed("status", HOST)


def test_the_operator_looks_at_dead_letters_and_drops_them(
    project: Project, server: Server, traffic: Traffic
) -> None:
    """`make dead-letters host=…` may do what no service may, and shows no password."""
    password = server.sh(
        "docker exec $(docker ps -q --filter label=com.docker.compose.service=redis)"
        " cat /run/secrets/REDIS_OPERATOR_PASSWORD"
    ).strip()
    add = f'XADD {dead_letters_of(STREAM)} "*" event_id an-id reason no-reason'
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


def test_the_operator_follows_the_streams(
    project: Project, server: Server, traffic: Traffic
) -> None:
    """`make events host=…` shows what lands on the server, and leaves nothing running there."""
    with project.start("events", HOST, "since=1h") as following:
        wait_for(following, f'"entry": {{"stream": "{STREAM}"')
        assert "shared.tail" in server.sh("ps -eo args")
        following.communicate("")
    while "shared.tail" in server.sh("ps -eo args"):
        time.sleep(0.2)


def test_a_deploy_of_what_runs_restarts_nothing(
    project: Project, server: Server, traffic: Traffic
) -> None:
    """Every container is the very same one afterwards."""
    before = server.containers()
    with traffic.case("no-change deploy"):
        assert "nothing to do" in project.succeed("deploy", HOST)
    assert server.containers() == before
    assert len(server.releases()) == 1


def test_an_upgrade_restarts_what_changed_and_nothing_else(
    project: Project, server: Server, traffic: Traffic
) -> None:
    """Another bot is another container; then both services change at once."""
    before = server.containers()
    project.new_version("tg_bot", "two")
    with traffic.case("upgrade of the bot"):
        project.succeed("deploy", HOST)
    after = server.containers()
    assert {name for name in SERVICES if before[name] != after[name]} == {"tg_bot"}
    project.new_version("backend", "two")
    project.new_version("tg_bot", "three")
    with traffic.case("upgrade of backend and bot"):
        project.succeed("deploy", HOST)
    last = server.containers()
    assert {name for name in SERVICES if after[name] != last[name]} == {"backend", "tg_bot"}
    assert len(server.releases()) == 3


def test_a_rollback_goes_to_the_release_before_and_there_again(
    project: Project, server: Server, traffic: Traffic
) -> None:
    """The second one, by plain pyinfra, comes back to where the first began; `to=` reaches any.

    One that was made before releases told of their stores and streams is reached like all others.
    """
    oldest, middle, newest = server.releases()
    tells_less(server, oldest)
    before = server.containers()
    with traffic.case("rollback"):
        project.succeed("rollback", HOST)
    assert server.current() == middle
    after = server.containers()
    assert {name for name in SERVICES if before[name] != after[name]} == {"backend", "tg_bot"}
    with traffic.case("second rollback"):
        code, output = project.pyinfra("rollback", "-y")
        assert code == 0, output
    assert server.current() == newest
    with traffic.case("rollback to the oldest release"):
        project.succeed("rollback", HOST, f"to={oldest}")
    assert server.current() == oldest
    assert server.releases() == [oldest, middle, newest]


def test_of_two_deploys_at_once_one_is_refused_and_told_by_whom(
    project: Project, server: Server, traffic: Traffic
) -> None:
    """The winner's release runs; the other exits with 75."""
    with traffic.case("two deploys at once"):
        both = [project.start("deploy", HOST) for _ in range(2)]
        output = [process.communicate()[0] for process in both]
    codes = [process.returncode for process in both]
    assert sorted(codes) == [0, 75], output
    refusal = output[codes.index(75)]
    assert "locked by " in refusal
    assert "(deploy of " in refusal
    assert set(server.containers()) == SERVICES


def test_the_lock_of_a_dead_deployer_ends_by_itself(
    project: Project, server: Server, traffic: Traffic
) -> None:
    """Until then everybody is refused, afterwards the next one goes on."""
    server.sh(f"{AGENT} --who ada@laptop lock --token dead --seconds 600")
    code, output = project.run("rollback", HOST)
    assert code == 75, output
    assert "locked by ada@laptop" in output
    with project.undone():
        project.new_version("tg_bot", "refused")
        code, output = project.run("deploy", HOST)
    assert (code, "building" in output) == (75, False), output
    server.sh(f"{AGENT} --who ada@laptop lock --token dead --seconds 1")
    server.wait_until(f"{AGENT} status --project herald | grep -q '\"lock\": null'")
    with traffic.case("rollback past a stale lock"):
        project.succeed("rollback", HOST)


def test_a_deployer_killed_while_sending_has_changed_nothing(
    project: Project, server: Server, traffic: Traffic
) -> None:
    """Its lock can be taken away at once, and the same deploy then goes through."""
    before, release = server.containers(), server.current()
    with project.undone(), traffic.case("deployer killed while sending"):
        project.new_version("tg_bot", "four")
        process = project.start("deploy", HOST)
        wait_for(process, "sending tg_bot")
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert server.containers() == before
        assert server.current() == release
        code, output = project.run("deploy", HOST)
        assert code == 75, output
        assert "the lock of" in project.succeed("unlock", HOST)
        project.succeed("deploy", HOST)
    assert server.current() > release


@pytest.mark.parametrize("service", ["redis", "postgres"])
def test_a_data_store_that_is_killed_comes_back_with_all_of_its_data(
    service: str, server: Server, traffic: Traffic
) -> None:
    """Redis reads back what scripts wrote too, with the users that it has in production."""
    with traffic.case(f"{service} killed"):
        look = f"docker inspect -f '{{{{.State.Pid}}}}' {server.containers()[service]}"
        pid = server.sh(look).strip()
        server.sh(f"kill -9 {pid}")
        server.wait_until(f"p=$({look}); test $p != 0 && test $p != {pid}")


def test_an_image_that_was_cleared_away_is_missed_before_anything_changes(
    project: Project, server: Server, traffic: Traffic
) -> None:
    """Somebody has made room: the release before runs in no container."""
    before, release = server.containers(), server.current()
    with traffic.case("rollback without its images"):
        server.sh("docker image prune --all --force")
        code, output = project.run("rollback", HOST)
        assert code == 69, output
        assert "this host lacks the image of " in output
    assert server.containers() == before
    assert server.current() == release


def test_a_release_that_is_damaged_on_the_server_is_replaced_by_a_deploy(
    project: Project, server: Server, traffic: Traffic
) -> None:
    """Nobody has to mend a file by hand, and what runs is not touched before."""
    before = server.containers()
    with traffic.case("deploy over a damaged release"), project.other_settings(LOG_LEVEL="WARNING"):
        server.sh("truncate -s 100 /srv/herald/current/release.json")
        code, output = project.run("status", HOST)
        assert (code, "release.json is damaged" in output) == (2, True), output
        output = project.succeed("deploy", HOST)
    assert "the release that runs cannot be read: " in output
    after = server.containers()
    assert {name for name in SERVICES if before[name] != after[name]} == {"backend", "tg_bot"}
    project.succeed("status", HOST)


def test_every_phase_is_in_the_audit(project: Project) -> None:
    """One JSON line each, with who did it."""
    lines = [json.loads(line) for line in project.succeed("audit", HOST).splitlines()]
    phases = {line["phase"] for line in lines}
    assert {"begun", "create", "switch tg_bot", "smoke", "commit", "done"} <= phases
    assert all(line["who"] and line["at"] for line in lines)
