"""A bare server with sshd and nothing else becomes one that can be deployed to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.project import Project
from tests.deploy.server import BARE, Server

pytestmark = pytest.mark.timeout(1200)
HOST = "host=staging"


@pytest.fixture(scope="module")
def server(servers_can_be_made: None, folder: Path) -> Iterator[Server]:
    """A server without Docker."""
    with Server(folder, BARE) as one:
        yield one


@pytest.fixture(scope="module")
def project(folder: Path, server: Server) -> Project:
    """A clone whose inventory names the user that provision makes."""
    made = Project(folder, "http://127.0.0.1:1")
    made.servers["staging"] = server
    # Swap would be the whole machine's, not the container's.
    made.data = {"ssh_user": "deploy", "swap_megabytes": 0}
    return made


def test_a_bare_server_is_refused_before_anything_is_sent(project: Project, server: Server) -> None:
    """The message says what to run, and nothing is on the server."""
    project.data["ssh_user"] = "root"
    code, told = project.run("status", HOST)
    project.data["ssh_user"] = "deploy"
    assert code == 69
    assert "Docker is missing; run: make provision" in told
    assert not server.succeeds("test -e /srv/herald")


def test_provision_makes_it_ready_and_the_second_run_changes_nothing(
    project: Project, server: Server
) -> None:
    """Docker and Compose run, ports are closed, root is locked out, the deploy user is not."""
    told = project.succeed("provision", HOST)
    assert "SSH takes keys only, and root no more" in told
    assert "release   none" in project.succeed("status", HOST)
    told = project.succeed("provision", HOST, "verbose=1")
    assert "Success\n" not in told.partition("Results")[0]
    total = next(line for line in told.splitlines() if "Grand total" in line)
    count, success, error, same = total.split()[2:]
    assert (success, error, same) == ("-", "-", count)
    settings = server.sh("sshd -T")
    assert "permitrootlogin no" in settings
    assert "passwordauthentication no" in settings
    for tables in ("iptables", "ip6tables"):
        assert "-A HERALD-INPUT -j DROP" in server.sh(f"{tables} -S HERALD-INPUT")
        assert "-i eth0 -j DROP" in server.sh(f"{tables} -S DOCKER-USER")


def test_a_system_that_is_not_supported_is_refused(project: Project, server: Server) -> None:
    """Nothing is changed on it, and the message names what is supported."""
    server.sh(
        "cp /etc/os-release /tmp/os && echo 'ID=plan9\nVERSION_ID=4' >/tmp/new "
        "&& rm /etc/os-release && mv /tmp/new /etc/os-release"
    )
    code, told = project.run("provision", HOST)
    server.sh("mv /tmp/os /etc/os-release")
    assert code == 69
    assert "supported are: debian 12" in told


def test_a_wrong_key_is_refused(project: Project, folder: Path) -> None:
    """One line names the server and what ssh said."""
    wrong = folder / "wrong"
    wrong.write_text("no key at all")
    wrong.chmod(0o600)
    project.data["ssh_key"] = str(wrong)
    code, told = project.run("status", HOST)
    del project.data["ssh_key"]
    assert code == 69
    assert "cannot be reached" in told
    assert len(told.strip().splitlines()) == 1
