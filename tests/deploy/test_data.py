"""Backup, restore and another Redis: exactly what was saved, nothing lost and nothing doubled."""

import json
import shutil
import time
from calendar import timegm
from hashlib import sha256
from pathlib import Path

import pytest

from deploy.release.checkout import ROOT
from shared.keys import BACKUP_TIME
from tests.deploy.project import HOST, Project
from tests.deploy.server import Server, docker
from tests.deploy.stores import ask_redis, stream, table, unacknowledged, wait_until_there
from tests.deploy.traffic import Traffic

pytestmark = pytest.mark.timeout(900)
BACKUPS = "/srv/herald/backups"
REDIS = "FROM redis:8 AS redis\n"
OLDER = r"""USER root
RUN mv "$(command -v redis-server)" /usr/local/bin/redis-now \
    && printf '#!/bin/sh\n[ "$1" != --version ] || exec echo "Redis server v=7.0.15 sha=0"\n' \
        >/usr/local/bin/redis-server \
    && echo 'exec redis-now "$@"' >>/usr/local/bin/redis-server \
    && chmod 755 /usr/local/bin/redis-server
"""


@pytest.fixture(scope="module", autouse=True)
def released(project: Project) -> None:
    """A first release runs."""
    project.succeed("deploy", HOST)


def backups(server: Server) -> list[str]:
    """Return the backups on a server, oldest first."""
    return server.sh(f"ls {BACKUPS}").split()


def healthy(server: Server) -> bool:
    """Whether all four services run and are healthy."""
    return len(server.sh("docker ps -q --filter health=healthy").split()) == 4


def test_a_restore_brings_back_one_moment_and_the_bot_goes_on(
    project: Project, server: Server, traffic: Traffic, folder: Path
) -> None:
    """Saved while commands poured in: stream and table agree, and hold nothing of afterwards."""
    before = traffic.write(50, "before")
    wait_until_there(server, before)
    with traffic.written() as writer:
        writer.go_on()
        output = project.succeed("backup", HOST, f"to={folder / 'copies'}")
    assert "hashes are right" in output
    (name,) = backups(server)
    made = timegm(time.strptime(name, "%Y%m%dT%H%M%SZ"))
    assert 0 <= int(ask_redis(server, f"GET {BACKUP_TIME}")) - made < 600, "the metrics say when"
    wait_until_there(server, traffic.sent)
    project.succeed("restore", HOST, f"from={name}")
    restored = stream(server)
    saved = list(restored)
    assert set(before) < restored.keys() < set(traffic.sent)
    wait_until_there(server, saved)
    assert unacknowledged(server) == 0
    traffic.sent = saved
    traffic.write(10, "after")
    wait_until_there(server, traffic.sent)


def test_a_copy_is_whole_and_nobody_else_reads_it(
    project: Project, server: Server, traffic: Traffic, folder: Path
) -> None:
    """On the host and here; a damaged one is refused before anything is changed."""
    (copy,) = (folder / "copies/server").iterdir()
    assert copy.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in copy.iterdir()} == dict.fromkeys(
        ("backup.json", "redis.rdb", "postgres.dump"), 0o600
    )
    modes = server.sh(f"stat -c %a {BACKUPS}/* {BACKUPS}/*/*").split()
    assert set(modes[:2]) == {"700"}
    assert set(modes[2:]) == {"600"}
    started = server.sh("docker inspect -f '{{.State.StartedAt}}' $(docker ps -q)")
    damaged = folder / "damaged"
    shutil.copytree(copy, damaged)
    with (damaged / "postgres.dump").open("r+b") as file:
        file.seek(100)
        file.write(b"damage")
    for source, code, line in (
        (f"{damaged}", 65, "postgres.dump is damaged"),
        (f"{folder}", 64, "is no backup"),
        ("20200101T000000Z", 64, "no backup is called '20200101T000000Z'; there are: 2"),
    ):
        assert project.run("restore", HOST, f"from={source}")[0] == code
        assert line in project.run("restore", HOST, f"from={source}", "dry=1")[1]
    output = project.succeed("restore", HOST, f"from={backups(server)[0]}", "dry=1")
    assert output.startswith("would stop backend and tg_bot, back up today's data")
    output = project.succeed("restore", HOST, f"from={copy}", "dry=1")
    assert output.startswith("would send the backup of 20")
    assert server.sh("docker inspect -f '{{.State.StartedAt}}' $(docker ps -q)") == started


def test_what_cannot_be_put_in_place_leaves_everything_as_it_was(
    project: Project, server: Server, traffic: Traffic, folder: Path
) -> None:
    """A dump that PostgreSQL cannot read: today's data stays, and every service runs."""
    (copy,) = (folder / "copies/server").iterdir()
    wrong = folder / "wrong"
    shutil.copytree(copy, wrong)
    dump = (wrong / "postgres.dump").read_bytes()
    (wrong / "postgres.dump").write_bytes(dump[: len(dump) // 2])
    facts = json.loads((wrong / "backup.json").read_text())
    facts["files"]["postgres.dump"] = sha256((wrong / "postgres.dump").read_bytes()).hexdigest()
    (wrong / "backup.json").write_text(json.dumps(facts))
    code, output = project.run("restore", HOST, f"from={wrong}")
    assert code == 69
    assert "today's data is in place" in output
    assert not server.succeeds("test -e /srv/herald/state/restore.json")
    policies = server.sh("docker inspect -f '{{.HostConfig.RestartPolicy.Name}}' $(docker ps -q)")
    assert policies.split() == ["always"] * 4
    traffic.write(5, "on")
    wait_until_there(server, traffic.sent)
    project.succeed("status", HOST)


def test_the_oldest_backup_can_be_restored_although_it_is_one_too_many(
    project: Project, server: Server, traffic: Traffic
) -> None:
    """The backup of today's data would otherwise clear away the one that is wanted.

    Both by plain pyinfra.
    """
    server.sh("echo '{\"keep\": 1}' >/srv/herald/retention.json")
    assert project.pyinfra("backup", "-y")[0] == 0
    (name,) = backups(server)
    saved = list(traffic.sent)
    traffic.write(5, "gone")
    wait_until_there(server, traffic.sent)
    code, output = project.pyinfra("restore", "-y", "--data", f"from={name}")
    assert code == 0, output
    wait_until_there(server, saved)
    traffic.sent = saved
    assert name in backups(server)
    server.sh("rm /srv/herald/retention.json")


def test_a_restore_outlives_its_connection(
    project: Project, server: Server, traffic: Traffic
) -> None:
    """It is a process of the server's own; the deployer comes back and says how it ended."""
    project.succeed("backup", HOST)
    saved = list(traffic.sent)
    traffic.write(5, "gone")
    wait_until_there(server, traffic.sent)
    process = project.start("restore", HOST, f"from={backups(server)[-1]}")
    cut = "test -e /srv/herald/state/restore.json && pkill -f 'sshd-session: [r]oot'"
    deadline = time.monotonic() + 60
    while not server.succeeds(cut):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert "the connection was lost" in output
    wait_until_there(server, saved)
    traffic.sent = saved


def test_a_restore_that_is_killed_is_done_again_by_the_next_deploy(
    project: Project, server: Server, traffic: Traffic
) -> None:
    """Nothing runs when it dies; everything runs afterwards, with the data of the backup."""
    name = backups(server)[0]
    wanted = list(traffic.sent)
    traffic.write(5, "gone")
    wait_until_there(server, traffic.sent)
    process = project.start("restore", HOST, f"from={name}")
    kill = f"kill -9 $(pgrep -f 'restor[e] {name}')"
    deadline = time.monotonic() + 60
    while not server.succeeds(f"grep -q before /srv/herald/state/restore.json && {kill}"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    output, _ = process.communicate()
    assert process.returncode == 69, output
    assert not healthy(server)
    project.succeed("deploy", HOST)
    wait_until_there(server, wanted)
    traffic.sent = wanted
    traffic.write(5, "on")
    wait_until_there(server, traffic.sent)


def test_a_restore_that_died_at_its_very_end_is_not_done_again(
    project: Project, server: Server, traffic: Traffic
) -> None:
    """The services ran already: what they have stored since stays, at the next boot too."""
    backend = "--filter label=com.docker.compose.service=backend"
    running = {server.sh(f"docker ps -q --no-trunc {backend}").strip(): "always"}
    release = server.sh("basename $(readlink -f /srv/herald/current)").strip()
    facts = {"release": release, "backup": backups(server)[0], "first": False, "ran": running}
    marker = json.dumps({**facts, "placed": True})
    server.sh(f"echo '{marker}' >/srv/herald/state/restore.json")
    server.sh("python3 /srv/herald/agent.pyz --root /srv/herald --who boot recover")
    assert not server.succeeds("test -e /srv/herald/state/restore.json")
    wait_until_there(server, traffic.sent)


def test_another_redis_is_backed_up_first_and_keeps_everything(
    project: Project, server: Server, traffic: Traffic
) -> None:
    """Commands are written all the while."""
    there = backups(server)
    change_redis(project, 'LABEL upgraded="yes"\n')
    with traffic.written():
        output = project.succeed("deploy", HOST)
    assert "backing up before redis changes" in output
    assert len(backups(server)) == len(there) + 1
    form = "'{{.Config.Labels.upgraded}}'"
    running = "$(docker ps -q --filter label=com.docker.compose.service=redis)"
    assert server.sh(f"docker inspect -f {form} {running}").strip() == "yes"
    wait_until_there(server, traffic.sent)


def test_an_older_redis_is_refused_and_the_present_one_runs_on(
    project: Project, server: Server, traffic: Traffic
) -> None:
    """It may not be able to read what the newer one has written."""
    started = server.sh("docker inspect -f '{{.State.StartedAt}}' $(docker ps -q)")
    change_redis(project, OLDER)
    code, output = project.run("deploy", HOST)
    assert code == 1
    assert "redis: version 7.0 is older than" in output
    assert server.sh("docker inspect -f '{{.State.StartedAt}}' $(docker ps -q)") == started
    traffic.write(5, "on")
    wait_until_there(server, traffic.sent)
    change_redis(project, 'LABEL upgraded="yes"\n')


def change_redis(project: Project, lines: str) -> None:
    """Commit another image of Redis."""
    name = "infra/images/Dockerfile"
    text = (ROOT / name).read_text()
    project.write(name, text.replace(REDIS, f"{REDIS}{lines}"))


def test_a_lost_server_lives_on_in_a_new_one(
    project: Project, server: Server, traffic: Traffic, folder: Path
) -> None:
    """What Telegram has kept meanwhile is handled there; nothing of the backup is missing."""
    copies = folder / "last"
    project.succeed("backup", HOST, f"to={copies}")
    (copy,) = (copies / "server").iterdir()
    code, output = project.run("deploy", HOST, f"from={copy}")
    assert code == 64
    assert "deploy without from=, then make restore" in output
    docker("kill", server.id)
    traffic.write(7, "meanwhile")
    with Server(folder / "new") as new:
        project.servers["server"] = new
        assert "would start with the backup of" in project.succeed(
            "deploy", HOST, f"from={copy}", "dry=1"
        )
        project.succeed("deploy", HOST, f"from={copy}")
        wait_until_there(new, traffic.sent)
        assert table(new) == stream(new)
        project.succeed("drift", HOST)
