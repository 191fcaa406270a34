"""Two servers at once, images by way of a registry, and what differs from a release."""

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from deploy import inventory
from deploy.errors import RemoteError
from deploy.release.registry import pull
from deploy.ssh.link import Link
from tests.deploy.project import Project
from tests.deploy.server import Server, docker
from tests.deploy.stores import wait_until_there
from tests.deploy.telegram import reachable_simulator
from tests.deploy.traffic import Traffic

pytestmark = pytest.mark.timeout(600)
IMAGE = "herald-test-registry:trixie"
CONTAINERS = "docker ps -a --no-trunc --format '{{.ID}} {{.Status}}' | sort"


@pytest.fixture(scope="module")
def registry(servers_can_be_made: None) -> Iterator[str]:
    """A registry on 127.0.0.1, which Docker trusts without TLS; its address."""
    name = docker("run", "--detach", "--publish", "127.0.0.1::5000", IMAGE).strip()
    try:
        port = docker("port", name, "5000").strip().rpartition(":")[2]
        yield f"127.0.0.1:{port}"
    finally:
        docker("rm", "--force", "--volumes", name)


def tunnel(server: Server, address: str) -> "subprocess.Popen[bytes]":
    """Let a server reach the registry under the same address, through SSH."""
    trust = ("-o", f"UserKnownHostsFile={server.known_hosts}", "-o", "BatchMode=yes")
    options = (*trust, "-o", "StrictHostKeyChecking=accept-new", "-o", "ExitOnForwardFailure=yes")
    port = address.rpartition(":")[2]
    where = ("-N", "-R", f"{port}:{address}", "-p", str(server.port), "root@127.0.0.1")
    return subprocess.Popen(("ssh", *options, "-i", str(server.key), *where))


@pytest.fixture(scope="module")
def project(folder: Path, telegram: str, registry: str) -> Iterator[Project]:
    """Two servers of one environment, each with a Telegram of its own, and a registry.

    Redis is called `events` there and PostgreSQL `store`: no name of them is known to anybody.
    """
    made = Project(folder, telegram)
    with ExitStack() as stack:
        other = stack.enter_context(reachable_simulator())
        for name, url in (("one", telegram), ("two", other)):
            server = stack.enter_context(Server(folder / name))
            made.servers[name] = server
            made.own[name] = {"settings": {"TELEGRAM_API_URL": url, "LOG_LEVEL": "INFO"}}
            process = tunnel(server, registry)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        made.variables["REGISTRY"] = f"{registry}/lab"
        made.rename_stores()
        made.inventory()
        made.set_secrets()
        yield made


@pytest.fixture(scope="module")
def traffic(project: Project, telegram: str) -> Traffic:
    """What is written to the bot of the first server."""
    return Traffic(telegram, project.servers["one"])


def test_two_servers_are_deployed_at_once_from_a_registry(
    project: Project, registry: str, traffic: Traffic
) -> None:
    """Pushed once, pulled by digest, checked by id; each line says whose it is."""
    output = project.succeed("deploy", "env=staging")
    assert "MB sent" not in output
    with urllib.request.urlopen(f"http://{registry}/v2/_catalog", timeout=30) as answer:
        repositories = json.loads(answer.read())["repositories"]
    assert repositories == ["lab/backend", "lab/events", "lab/store", "lab/tg_bot"]
    for name, server in project.servers.items():
        assert f"{name}:   backend: pulling {registry}/lab/backend@sha256:" in output
        assert project.succeed("drift", f"host={name}") == "no drift\n"
        # Nothing but our own names is left, or clearing away would leave the image; here neither.
        assert registry not in server.sh("docker images --digests")
    assert registry not in docker("images", "--digests")
    traffic.write(5, "registry")
    wait_until_there(project.servers["one"], traffic.sent)


def test_stores_of_any_name_are_tested_saved_and_put_back(
    project: Project, traffic: Traffic
) -> None:
    """The smoke test ran, and a restore brings back what was there, and nothing of later."""
    server = project.servers["one"]
    assert "smoke test passed" in project.succeed("audit", "host=one")
    assert "events: " in project.succeed("backup", "host=one")
    (name,) = server.sh("ls /srv/herald/backups").split()
    traffic.write(5, "gone")
    wait_until_there(server, traffic.sent)
    project.succeed("restore", "host=one", f"from={name}")
    traffic.sent = [text for text in traffic.sent if "gone" not in text]
    traffic.write(5, "after")
    wait_until_there(server, traffic.sent)
    project.succeed("status", "host=one")
    assert "no dead letters" in project.succeed("dead-letters", "host=one")


def test_an_image_with_another_id_is_refused(
    project: Project, registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry that hands out something else is found out, and the image goes again."""
    monkeypatch.setenv("HERALD_INVENTORIES", str(project.folder))
    (host,) = inventory.choose("one", "")
    reference = pushed(registry)
    server = project.servers["one"]
    before = server.sh("docker images -aq | sort")
    wrong = f"sha256:{0:064}"
    with Link(host) as link, pytest.raises(RemoteError, match="is not the image") as refused:
        link.run(pull(link, "herald", "backend", reference, wrong))
    assert refused.value.code == 65
    assert server.sh("docker images -aq | sort") == before


def pushed(registry: str) -> str:
    """Return the name of the backend's image with its digest, as the registry has it."""
    url = f"http://{registry}/v2/lab/backend"
    with urllib.request.urlopen(f"{url}/tags/list", timeout=30) as answer:  # noqa: S310 - http
        (tag,) = json.loads(answer.read())["tags"]
    kind = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
    asked = urllib.request.Request(f"{url}/manifests/{tag}", headers=kind)  # noqa: S310 - http
    with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310 - http
        return f"{registry}/lab/backend@{answer.headers['Docker-Content-Digest']}"


def test_a_registry_that_is_none_is_refused_before_any_host_is_asked(project: Project) -> None:
    """One line, exit code 78; and 69 where nobody answers, with the host as it was."""
    project.variables["REGISTRY"], right = "https://registry", project.variables["REGISTRY"]
    code, output = project.run("deploy", "env=staging")
    assert (code, len(output.splitlines())) == (78, 1)
    project.variables["REGISTRY"] = right


def test_one_that_fails_does_not_hide_the_other(project: Project) -> None:
    """The free one gets the new release; the locked one says so, and so does the exit code."""
    project.succeed("lock", "host=two", "reason=holiday")
    server = project.servers["two"]
    before = server.sh(CONTAINERS.replace(" {{.Status}}", ""))
    for name in ("one", "two"):
        project.own[name]["settings"]["LOG_LEVEL"] = "WARNING"
    code, output = project.run("deploy", "env=staging")
    assert code == 75
    assert "herald: two: locked by" in output
    assert "one: release " in output
    assert server.sh(CONTAINERS.replace(" {{.Status}}", "")) == before
    assert project.run("status", "host=one")[0] == 0
    project.servers["gone"] = Gone(server)
    code, output = project.run("status", "env=staging")
    assert code == 69
    assert "one: release " in output
    assert "two: lock " in output
    assert "herald: gone: root@127.0.0.1:1 cannot be reached" in output
    del project.servers["gone"]


class Gone(Server):
    """A server that nobody reaches."""

    def __init__(self, like: Server) -> None:
        self.key, self.known_hosts = like.key, like.known_hosts

    @property
    def port(self) -> int:
        """A port on which nobody listens."""
        return 1


DRY = (
    ("lock", "would be refused: locked by", 75),
    ("unlock", "would take away the lock of", 0),
    ("backup", "would save events and store\nwould copy it into elsewhere/two", 0),
    ("exec", "would run 'rm -rf /data' in herald-events-1", 0),
    ("deploy", "would release", 0),
    ("provision", "Close every port", 0),
)
OPTIONS = {
    "exec": ("service=events", "command=rm -rf /data"),
    "backup": ("to=elsewhere",),
}


@pytest.mark.parametrize(("verb", "line", "exit_code"), DRY, ids=[case[0] for case in DRY])
def test_a_dry_verb_says_what_it_would_do_and_does_nothing(
    project: Project, verb: str, line: str, exit_code: int
) -> None:
    """No file and no container on the server is another one afterwards."""
    server = project.servers["two"]
    before = lasting(server)
    code, output = project.run(verb, "host=two", *OPTIONS.get(verb, ()), "dry=1")
    assert (code, line in output) == (exit_code, True), output
    assert lasting(server) ^ before == set()
    assert not (project.checkout / "elsewhere").exists()


def lasting(server: Server) -> set[str]:
    """Return what two looks at a server's files, rules, images and containers have in common.

    The engine's own files for a health check come and go.
    """
    look = (
        "find /srv /etc /usr/local /var/spool /tmp /root -type f "
        "-not -path '*/.ssh/*' -not -name 'runc-process*' -exec sha256sum {} + 2>/dev/null; "
        "iptables -S; docker images -aq; "
        "docker inspect --format '{{.Id}} {{.State.StartedAt}}' $(docker ps -aq)"
    )
    return set(server.sh(look).splitlines()) & set(server.sh(look).splitlines())


def test_drift_names_everything_that_differs(project: Project) -> None:
    """Exit code 2 and a line for each; put right, it is 0 again."""
    server = project.servers["one"]
    assert project.run("drift", "host=one") == (0, "no drift\n")
    release = server.sh("readlink -f /srv/herald/current").strip()
    server.sh(f"echo >>{release}/compose.yml")
    assert project.run("drift", "host=one") == (
        2,
        f"{release}/compose.yml is not as it was released\n",
    )
    server.sh(f"sed -i '$ d' {release}/compose.yml")
    backend = server.sh("docker ps -q --filter label=com.docker.compose.service=backend").strip()
    tag = server.sh("docker images --format '{{.Repository}}:{{.Tag}}' 'herald/backend'").split()[0]
    image = server.sh(f"docker image inspect -f '{{{{.Id}}}}' {tag}").strip()
    name = server.sh(f"docker inspect -f '{{{{.Name}}}}' {backend}").strip("/\n")
    other = server.sh("docker images -q herald/events").split()[0]
    server.sh(f"docker stop {backend}; docker tag {other} {tag}")
    server.sh(
        "docker create --name stranger --label com.docker.compose.project=herald "
        f"--label com.docker.compose.service=stranger {image}"
    )
    code, output = project.run("drift", "host=one")
    assert code == 2
    assert set(output.splitlines()) == {
        f"backend: {name} is exited",
        f"backend: {tag} is another image",
        "stranger: the release has no such service",
    }
    server.sh(f"docker rm stranger; docker tag {image} {tag}; docker start {backend}")
    deadline = time.monotonic() + 60
    while (drift := project.run("drift", "host=one")) != (0, "no drift\n"):
        assert time.monotonic() < deadline, drift
        time.sleep(1)
