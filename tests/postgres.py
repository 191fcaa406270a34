"""A real PostgreSQL for tests: the machine's own server, or a container of the stack's image."""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Protocol, Self

import psycopg
from psycopg import sql

from tests.servers import free_port

IMAGE = "postgres:17"
USER = "herald"
MISSING = (
    "no PostgreSQL here: install it with 'apt-get install postgresql', or start Docker with "
    "'make docker-engine'"
)


class _Engine(Protocol):
    def start(self) -> None: ...
    def kill(self) -> None: ...
    def remove(self) -> None: ...


class PostgresServer:
    """A PostgreSQL on a port of 127.0.0.1 of its own; what it held survives kill and start.

    Args:
        primary: whose copy it is, and follows; it needs a server on this machine.
    """

    def __init__(self, primary: "PostgresServer | None" = None) -> None:
        self.port = free_port()
        self.password: str = primary.password if primary else secrets.token_hex(8)
        self._engine: _Engine
        binaries = find_binaries()
        if binaries is not None:
            follows = primary.port if primary else None
            self._engine = _Process(binaries, self.port, self.password, follows)
        elif has_docker() and primary is None:
            self._engine = _Container(self.port, self.password)
        else:
            raise RuntimeError(MISSING)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._engine.remove()

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._engine.start()
        deadline = time.monotonic() + 60
        while True:
            try:
                self._connect("postgres").close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """End it and its connections at once; it recovers at the next start."""
        self._engine.kill()

    def promote(self) -> None:
        """Make a copy the primary, and wait until it is."""
        with self._connect("postgres") as connection:
            connection.execute("SELECT pg_promote()")

    def create_database(self) -> str:
        """Create an empty database and return the backend's URL of it."""
        name = f"test_{secrets.token_hex(6)}"
        with self._connect("postgres") as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    def url(self, database: str) -> str:
        """Return the backend's URL of a database."""
        return f"postgresql+asyncpg://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=USER,
            password=self.password,
            dbname=database,
            autocommit=True,
            connect_timeout=10,
        )


class _Process:
    """The machine's own server, with its data in a temporary folder."""

    def __init__(self, binaries: Path, port: int, password: str, follows: int | None) -> None:
        self._binaries = binaries
        self._port = port
        self._folder = Path(tempfile.mkdtemp(prefix="herald-postgres-"))
        self._process: subprocess.Popen[bytes] | None = None
        # The server refuses to run as root.
        self._owner = "postgres" if os.geteuid() == 0 else None
        secret = self._folder / "password"
        secret.write_text(password)
        if self._owner:
            shutil.chown(self._folder, self._owner)
            shutil.chown(secret, self._owner)
        data = ("--pgdata", str(self._folder / "data"), "--no-sync", "--username", USER)
        new = ("initdb", "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8")
        copy = ("pg_basebackup", "--host", "127.0.0.1", "--port", str(follows), "--checkpoint=fast")
        program, *options = (
            (*copy, "--write-recovery-conf") if follows else (*new, "--pwfile", str(secret))
        )
        subprocess.run(
            [str(binaries / program), *options, *data],
            user=self._owner,
            cwd=self._folder,
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PGPASSWORD": password},
        )

    def start(self) -> None:
        command = [
            *(str(self._binaries / "postgres"), "-D", str(self._folder / "data")),
            *("-p", str(self._port), "-k", str(self._folder), "-h", "127.0.0.1", "-F"),
        ]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, user=self._owner, cwd=self._folder, stdout=log, stderr=log
            )

    def kill(self) -> None:
        if self._process is not None:
            # SIGQUIT is an immediate shutdown; a SIGKILL would leave the children behind.
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(timeout=30)
            self._process = None

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


class _Container:
    """A container of the image that the stack runs."""

    def __init__(self, port: int, password: str) -> None:
        self._name = f"herald-test-postgres-{secrets.token_hex(4)}"
        _docker(
            *("create", "--name", self._name, "--publish", f"127.0.0.1:{port}:5432"),
            *("--env", f"POSTGRES_USER={USER}", "--env", f"POSTGRES_PASSWORD={password}", IMAGE),
        )

    def start(self) -> None:
        _docker("start", self._name)

    def kill(self) -> None:
        _docker("kill", "--signal", "QUIT", self._name)
        _docker("wait", self._name)

    def remove(self) -> None:
        _docker("rm", "--force", "--volumes", self._name)


def find_binaries() -> Path | None:
    """Return the folder of the machine's newest PostgreSQL server, if there is one we can run."""
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            return None
    packaged = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name)
    )
    on_path = shutil.which("postgres")
    linked = [Path(on_path).resolve().parent] if on_path else []
    for folder in (*reversed(packaged), *linked):
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return folder
    return None


def has_docker() -> bool:
    """Say whether a Docker engine answers."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["docker", "version", "--format", "{{.Server.Version}}"]
        return subprocess.run(command, capture_output=True, check=False, timeout=20).returncode == 0
    return False


def _docker(*arguments: str) -> None:
    subprocess.run(["docker", *arguments], check=True, stdout=subprocess.DEVNULL)
