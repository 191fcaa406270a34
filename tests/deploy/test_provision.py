"""A bare server with sshd and nothing else becomes one that can be deployed to."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.ssh.bundle import agent
from tests.deploy.connections import LISTEN, LISTENER, TRY
from tests.deploy.project import HOST, Project
from tests.deploy.server import BARE, SYSTEMD, Server, docker

pytestmark = pytest.mark.timeout(1200)
PORTS = (22, 8080, 8443, 9090)


@pytest.fixture(scope="module", params=[BARE, SYSTEMD])
def server(
    servers_can_be_made: None, folder: Path, request: pytest.FixtureRequest
) -> Iterator[Server]:
    """A server without Docker: Debian 13 without an init system, Debian 12 with systemd."""
    with Server(folder / request.param.rpartition(":")[2], request.param) as server:
        yield server


@pytest.fixture(scope="module")
def project(server: Server) -> Project:
    """A clone whose inventory names the user that provision makes."""
    made = Project(server.folder, "http://127.0.0.1:1")
    made.servers["server"] = server
    # Swap would be the whole machine's, not the container's.
    made.data = {
        "ssh_user": "deploy",
        "swap_megabytes": 0,
        "firewall_ports": [8443],
        "backup_every": "daily",
        "backup_keep": 3,
    }
    return made


def test_a_bare_server_is_refused_before_anything_is_sent(project: Project, server: Server) -> None:
    """The message says what to run, and nothing is on the server."""
    project.data["ssh_user"] = "root"
    code, output = project.run("status", HOST)
    project.data["ssh_user"] = "deploy"
    assert code == 69
    assert "Docker is missing; run: make provision" in output
    assert not server.succeeds("test -e /srv/herald")


def test_provision_makes_it_ready_and_the_second_run_changes_nothing(
    project: Project, server: Server
) -> None:
    """Docker and Compose run, ports are closed, root is locked out, the deploy user is not."""
    output = project.succeed("provision", HOST)
    assert "SSH takes keys only, and root no more" in output
    assert "release   none" in project.succeed("status", HOST)
    output = project.succeed("provision", HOST, "verbose=1")
    assert "Success\n" not in output.partition("Results")[0]
    total = next(line for line in output.splitlines() if "Grand total" in line)
    count, success, error, same = total.split()[2:]
    assert (success, error, same) == ("-", "-", count)
    settings = server.sh("sshd -T")
    assert "permitrootlogin no" in settings
    assert "passwordauthentication no" in settings
    for tables in ("iptables", "ip6tables"):
        assert "-A HERALD-INPUT -j DROP" in server.sh(f"{tables} -S HERALD-INPUT")
        assert server.sh(f"{tables} -S DOCKER-USER").endswith("-A DOCKER-USER -j DROP\n")


def test_a_system_that_is_not_supported_is_refused(project: Project, server: Server) -> None:
    """Nothing is changed on it, and the message names what is supported."""
    server.sh(
        "cp /etc/os-release /tmp/os && echo 'ID=plan9\nVERSION_ID=4' >/tmp/new "
        "&& rm /etc/os-release && mv /tmp/new /etc/os-release"
    )
    code, output = project.run("provision", HOST)
    server.sh("mv /tmp/os /etc/os-release")
    assert code == 69
    assert "supported are: debian 12" in output


def test_a_wrong_key_is_refused(project: Project, server: Server) -> None:
    """One line names the server and what ssh said."""
    wrong = server.folder / "wrong"
    wrong.write_text("no key at all")
    wrong.chmod(0o600)
    project.data["ssh_key"] = str(wrong)
    code, output = project.run("status", HOST)
    del project.data["ssh_key"]
    assert code == 69
    assert "cannot be reached" in output
    assert len(output.strip().splitlines()) == 1


def test_a_published_port_is_closed_unless_the_inventory_opens_it(
    project: Project, server: Server
) -> None:
    """Tried from another container beside the server; without the rules every port answers.

    SSH stays open, and what somebody has removed the next provision puts back.
    """
    server.load(LISTENER)
    publish = "docker run --detach --publish {0}:{0} --entrypoint perl {1} -e '{2}'"
    for port in (8080, 8443):
        server.sh(publish.format(port, LISTENER, LISTEN.format(port)))
    server.sh(f"nohup perl -e '{LISTEN.format(9090)}' >/dev/null 2>&1 &")
    assert open_ports(server) == {22, 8443}
    for tables in ("iptables", "ip6tables"):
        server.sh(f"{tables} -F DOCKER-USER; {tables} -F HERALD-INPUT")
    assert open_ports(server) == {22, 8080, 8443, 9090}
    project.succeed("provision", HOST)
    assert open_ports(server) == {22, 8443}


def open_ports(server: Server) -> set[int]:
    """Return which ports of a server another container can connect to."""
    places = [word for port in PORTS for word in (server.address(), str(port))]
    output = docker("run", "--rm", "--entrypoint", "python3", BARE, "-c", TRY, *places)
    return {int(line.split()[1]) for line in output.splitlines()}


def test_the_firewall_is_back_after_a_boot(server: Server) -> None:
    """By systemd's unit or cron's line: a reboot has emptied every table.

    SSH is open: systemd's unit comes before sshd, which cannot be asked for its port then.
    """
    # What runs on it does not listen to SIGTERM; the rest of a reboot does not take so long.
    docker("restart", "--time", "3", server.id)
    server.wait()
    if server.image == BARE:  # what an init system does at boot
        server.sh("rm -f /run/crond.reboot /run/crond.pid; cron")
    until(lambda: server.succeeds("iptables -S HERALD-INPUT | grep -q DROP"))
    until(lambda: server.succeeds("docker version"))
    assert "-j DROP" in server.sh("iptables -S DOCKER-USER")
    until(lambda: 22 in open_ports(server))
    assert open_ports(server) == {22}


def test_the_clock_starts_a_backup(project: Project, server: Server) -> None:
    """The timer that was installed, fired soon; that there is no release is in the audit."""
    server.write("/srv/herald/agent.pyz", agent())
    assert server.succeeds("python3 /srv/herald/agent.pyz --help")
    server.sh("mkdir -p /srv/herald/state /srv/herald/releases/x")
    server.sh("ln -sfn releases/x /srv/herald/current")
    assert json.loads(server.sh("cat /srv/herald/retention.json")) == {"keep": 3}
    if server.image == BARE:
        assert "\n@daily root " in server.sh("cat /etc/cron.d/herald")
        server.sh("sed -i 's/^@daily /* * * * * /' /etc/cron.d/herald")
    else:
        assert "enabled" in server.sh("systemctl is-enabled herald-backup.timer")
        folder = "/run/systemd/system/herald-backup.timer.d"
        soon = r"[Timer]\nOnCalendar=\nOnCalendar=*:*:0/5\nAccuracySec=1s\n"
        server.sh(f"mkdir -p {folder}; printf '{soon}' >{folder}/soon.conf")
        server.sh("systemctl daemon-reload; systemctl restart herald-backup.timer")
    audit = "/srv/herald/state/audit.jsonl"
    until(lambda: server.succeeds(f"test -s {audit}"), seconds=150)
    line = json.loads(server.sh(f"head -n 1 {audit}"))
    assert (line["who"], line["phase"]) == ("timer", "failed")
    assert "has no release.json" in line["reason"]


def until(holds: Callable[[], bool], seconds: float = 90) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.3)
