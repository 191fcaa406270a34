"""Claims about the servers that deploy tests deploy to."""

import subprocess
import sys
from pathlib import Path

import pytest

from infra.engine.report import ROOT
from tests.docker.containers import Engine, until

BARE = "herald-test-server:bare"
SERVER = "herald-test-server:trixie"
# As in the head of images/server/Dockerfile; the engine in the server needs every one of them.
RIGHTS = (
    *("--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN", "--cap-add", "SYS_PTRACE"),
    *("--cap-add", "MKNOD", "--cap-add", "DAC_READ_SEARCH", "--cap-add", "SYS_CHROOT"),
    *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
    *("--security-opt", "systempaths=unconfined", "--device-cgroup-rule", "a *:* rmw"),
    *("--volume", "/sys/fs/cgroup:/sys/fs/cgroup"),
)
pytestmark = pytest.mark.timeout(600)


class Server:
    """A container that is a server, entered over SSH as deploy tests enter it."""

    def __init__(self, docker: Engine, image: str, folder: Path) -> None:
        self.docker = docker
        self.key = folder / "key"
        command = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key))
        subprocess.run(command, check=True)
        public = self.key.with_suffix(".pub").read_text().strip()
        options = ("--publish", "127.0.0.1::22", "--env", f"AUTHORIZED_KEY={public}")
        self.name = docker.start(image, *RIGHTS, *options)

    def command(self) -> tuple[str, ...]:
        """Return the command that enters the server; a reboot changes its port."""
        port = self.docker("port", self.name, "22").rpartition(":")[2]
        trust = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")
        quick = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-q")
        return ("ssh", "-i", str(self.key), *trust, *quick, "-p", port, "root@127.0.0.1")

    def ssh(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script on the server."""
        command = (*self.command(), script)
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def load(self, image: str) -> None:
        """Send an image to the server's engine."""
        save = subprocess.Popen(("docker", "save", image), stdout=subprocess.PIPE)
        with save:
            command = (*self.command(), "docker load")
            subprocess.run(command, stdin=save.stdout, capture_output=True, check=True)

    def has(self, script: str) -> bool:
        """Tell whether a script succeeds on the server."""
        return self.ssh(script).returncode == 0


@pytest.fixture(scope="module", autouse=True)
def images() -> None:
    """Make the servers' images, where they are missing."""
    command = (sys.executable, "-m", "infra.engine", "--server")
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr


def test_only_the_key_opens_the_door(docker: Engine, tmp_path: Path) -> None:
    """Root enters with the key that the server was given, and with no password."""
    server = Server(docker, BARE, tmp_path)
    until(lambda: server.has("true"))
    assert server.ssh("id -u").stdout.strip() == "0"
    server.key.write_text("")
    assert not server.has("true")


def test_without_a_key_there_is_no_server(docker: Engine) -> None:
    """A server that nobody could enter does not start, and says what is missing."""
    container = docker.start(BARE, *RIGHTS)
    assert docker.exit_code(container) == 78
    assert "AUTHORIZED_KEY" in docker.logs(container)


def test_a_bare_server_is_bare(docker: Engine, tmp_path: Path) -> None:
    """It has what a provider's Debian has, and no Docker."""
    server = Server(docker, BARE, tmp_path)
    until(lambda: server.has("true"))
    assert server.has("command -v python3 && command -v sudo && command -v ip")
    assert not server.has("command -v docker || command -v dockerd")


def test_its_engine_survives_kills_and_reboots(docker: Engine, tmp_path: Path) -> None:
    """Containers run in it, keep their data, and come back after a crash, a reboot, a power cut."""
    server = Server(docker, SERVER, tmp_path)
    until(lambda: server.has("docker info && docker compose version"))
    server.load("redis:8")
    run = "docker run --detach --name store --restart always --volume words:/data redis:8"
    assert server.has(f"{run} --appendonly yes --appendfsync always")
    until(lambda: server.has("docker exec store redis-cli set word kept | grep OK"))
    kept = "docker exec store redis-cli get word | grep kept"
    pid = server.ssh("cat /run/docker.pid").stdout.strip()
    assert server.has(f"kill -9 {pid}")
    until(lambda: server.has(f"test $(cat /run/docker.pid) != {pid} && {kept}"))
    docker("restart", server.name)
    until(lambda: server.has(kept))
    docker("kill", server.name)
    docker("start", server.name)
    until(lambda: server.has(kept))
    docker("stop", server.name)
    assert docker.exit_code(server.name) == 0
