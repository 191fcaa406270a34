"""A server to deploy to: a container with sshd and a Docker engine of its own."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

READY = "herald-test-server:trixie"
BARE = "herald-test-server:bare"
# Debian 12, with systemd as its first process, which wants these folders empty at its start.
SYSTEMD = "herald-test-server:bookworm"
EMPTY = ("--tmpfs", "/run", "--tmpfs", "/run/lock")
# Faster than a disk, and gone when the power is cut.
IN_MEMORY = ("--tmpfs", "/var/lib/docker:rw,exec,suid,dev,size=4500m")
ON_DISK: tuple[str, ...] = ()
STARTS_WITHIN = 120.0
# Enough where --privileged is refused.
RIGHTS = (
    *(
        word
        for name in (
            "SYS_ADMIN",
            "NET_ADMIN",
            "SYS_PTRACE",
            "MKNOD",
            "DAC_READ_SEARCH",
            "SYS_CHROOT",
        )
        for word in ("--cap-add", name)
    ),
    *(f"--security-opt={name}=unconfined" for name in ("seccomp", "apparmor", "systempaths")),
    *("--device-cgroup-rule", "a *:* rmw", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup"),
)


def docker(*arguments: str, check: bool = True) -> str:
    """Run a Docker command of this machine and return what it printed."""
    result = subprocess.run(("docker", *arguments), capture_output=True, text=True, check=False)
    if check and result.returncode:
        raise AssertionError(f"docker {' '.join(arguments[:2])}: {result.stderr.strip()}")
    return result.stdout


class Server:
    """One test server; gone, with all its data, when the context is left."""

    def __init__(
        self, folder: Path, image: str = READY, options: tuple[str, ...] | None = None
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.image = image
        # Where provision installs the engine, its disk is as a server's is.
        usual = {READY: IN_MEMORY, SYSTEMD: EMPTY}.get(image, ON_DISK)
        self.options = usual if options is None else options
        self.folder = folder
        self.key = folder / "id_ed25519"
        self.known_hosts = folder / "known_hosts"
        self.id = ""

    def __enter__(self) -> Self:
        make = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key))
        subprocess.run(make, check=True)
        public = self.key.with_suffix(".pub").read_text().strip()
        port = ("--publish", "127.0.0.1::22", "--env", f"AUTHORIZED_KEY={public}")
        self.id = docker(
            *("run", "--detach", "--hostname", "server", *port, *RIGHTS, *self.options, self.image)
        ).strip()
        try:
            self.wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        docker("rm", "--force", "--volumes", self.id, check=False)

    @property
    def port(self) -> int:
        """Return the port of its sshd on 127.0.0.1."""
        return int(docker("port", self.id, "22").splitlines()[0].rpartition(":")[2])

    def close_connections(self) -> None:
        """End every SSH session at once; sshd goes on."""
        # A connection's monitor may end by itself when its session is killed.
        each = "for p in $(pgrep -P $(cat /run/sshd.pid))"
        self.sh(f"{each}; do pkill -KILL -P $p; kill -9 $p 2>/dev/null || true; done")

    @contextmanager
    def black_hole(self) -> Iterator[None]:
        """Drop whatever comes to its sshd inside the block; nobody is told."""
        rule = "INPUT -p tcp --dport 22 -j DROP"
        self.sh(f"iptables -I {rule}")
        try:
            yield
        finally:
            self.sh(f"iptables -D {rule}")

    def cut_power(self) -> None:
        """Pull the plug, and switch it on again."""
        docker("kill", self.id)
        docker("start", self.id)
        self.wait()

    def run_boot_jobs(self) -> None:
        """Start cron as an init does after a boot; it then runs what is to be done @reboot."""
        self.sh("rm -f /run/crond.reboot && cron")

    def wait(self) -> None:
        """Wait until its sshd is up, and its engine where it has one."""
        ready = "pgrep -x sshd" + (" && docker version" if self.image == READY else "")
        deadline = time.monotonic() + STARTS_WITHIN
        while not self.succeeds(ready):
            if time.monotonic() > deadline:
                raise AssertionError(f"the test server does not start:\n{docker('logs', self.id)}")
            time.sleep(0.2)

    def succeeds(self, script: str) -> bool:
        """Whether shell text on the server exits with 0."""
        command = ("docker", "exec", self.id, "sh", "-c", script)
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def address(self) -> str:
        """Return its address on the network that it shares with other containers."""
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return docker("inspect", "--format", form, self.id).strip()

    def load(self, image: str) -> None:
        """Give its engine an image of this machine's."""
        with subprocess.Popen(("docker", "save", image), stdout=subprocess.PIPE) as save:
            command = ("docker", "exec", "--interactive", self.id, "docker", "load")
            subprocess.run(command, stdin=save.stdout, capture_output=True, check=True)

    def sh(self, script: str) -> str:
        """Run shell text on the server, as root and past SSH, and return what it printed."""
        return docker("exec", self.id, "sh", "-c", script)

    def write(self, path: str, content: bytes) -> None:
        """Write a file on the server."""
        command = ("docker", "exec", "--interactive", self.id, "sh", "-c", f"cat >{path}")
        subprocess.run(command, input=content, check=True)

    def wait_until(self, script: str, seconds: float = 120) -> None:
        """Return when shell text on the server exits with 0."""
        deadline = time.monotonic() + seconds
        while not self.succeeds(script):
            assert time.monotonic() < deadline, f"never true: {script}"
            time.sleep(0.1)

    def containers(self) -> dict[str, str]:
        """Return the id of each service's container."""
        form = '{{.Label "com.docker.compose.service"}} {{.ID}}'
        lines = self.sh(f"docker ps --no-trunc --format '{form}'").splitlines()
        ids = dict(line.split() for line in lines)
        assert len(ids) == len(lines), f"more than one container of a service: {lines}"
        return ids

    def current(self, root: str = "/srv/herald") -> str:
        """Return the name of the release that is current."""
        return self.sh(f"basename $(readlink {root}/current)").strip()

    def releases(self) -> list[str]:
        """Return the releases that the server keeps, oldest first."""
        return self.sh("cd /srv/herald/releases && dirname */ran").split()
