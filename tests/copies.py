"""A Redis with copies: real servers and real Sentinels, as processes that can be killed.

Each node is a Redis and a Sentinel, as each of three servers has them. On loopback they have ports
of their own; given a prefix such as `ip netns exec NAME` they run somewhere else.
"""

import contextlib
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.servers import free_port, redis_program

SERVICE = "herald"
ONCE = Retry(NoBackoff(), 0)
"""Nothing is asked again by the client itself: a host whose link is cut would be for a minute."""
QUORUM = 2
WHOLE_WITHIN = 200
"""Seconds: a Sentinel that was kept from running does nothing for thirty, and asks anew then."""


class Node:
    """One server's Redis and Sentinel.

    Args:
        address: where both listen.
        port: Redis' port; a free one where none is given.
        sentinel_port: the Sentinel's.
        prefix: what is written before each command.
        vote_from: the address that the Sentinel asks from.
    """

    def __init__(
        self,
        address: str = "127.0.0.1",
        port: int = 0,
        sentinel_port: int = 0,
        prefix: Sequence[str] = (),
        vote_from: str = "",
    ) -> None:
        self.address = address
        self.port = port or free_port()
        self.sentinel_port = sentinel_port or free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="herald-copy-"))
        (self.folder / "data").mkdir()
        self._prefix = tuple(prefix)
        self._vote_from = vote_from
        self._redis: subprocess.Popen[bytes] | None = None
        self._sentinel: subprocess.Popen[bytes] | None = None

    @property
    def where(self) -> tuple[str, int]:
        """Return where its Redis is."""
        return self.address, self.port

    def start(self, primary: tuple[str, int] | None) -> None:
        """Start Redis, as a replica where it has a primary, and wait until it answers."""
        follows = ("--replicaof", *map(str, primary)) if primary else ()
        self._redis = self._run(
            *("--port", str(self.port), "--bind", self.address, "--dir", str(self.folder / "data")),
            *("--save", "", "--appendonly", "yes", "--appendfsync", "always"),
            *("--protected-mode", "no", "--repl-diskless-sync-delay", "0"),
            *("--replica-announce-ip", self.address, *follows),
        )
        until(lambda: self.client().ping())

    def watch(self, primary: tuple[str, int], *options: str) -> None:
        """Start the Sentinel, which is told of this primary and finds the rest."""
        vote_from = f"bind-source-addr {self._vote_from}\n" if self._vote_from else ""
        settings = "".join(f"sentinel {option}\n" for option in options)
        configuration = self.folder / "sentinel.conf"
        configuration.write_text(
            f"port {self.sentinel_port}\nbind {self.address}\nprotected-mode no\n{vote_from}"
            f"dir {self.folder}\nsentinel announce-ip {self.address}\n"
            f"sentinel monitor {SERVICE} {primary[0]} {primary[1]} {QUORUM}\n{settings}"
        )
        self.watch_again()

    def watch_again(self) -> None:
        """Start the Sentinel, unless it runs, with what it has written down."""
        if self._sentinel is None or self._sentinel.poll() is not None:
            self._sentinel = self._run(str(self.folder / "sentinel.conf"), "--sentinel")
        until(lambda: self.sentinel().ping())

    def client(self) -> Any:
        """Return a plain client of its Redis; redis-py types a reply as all that it might be."""
        return redis.Redis(host=self.address, port=self.port, socket_timeout=2, retry=ONCE)

    def sentinel(self) -> Any:
        """Return a plain client of its Sentinel."""
        return redis.Redis(
            host=self.address,
            port=self.sentinel_port,
            socket_timeout=2,
            retry=ONCE,
            decode_responses=True,
        )

    def kill(self, *, sentinel: bool = False) -> None:
        """Send SIGKILL to Redis; to its Sentinel as well where the whole server goes."""
        for process in (self._redis, self._sentinel if sentinel else None):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()

    def freeze(self) -> None:
        """Stop Redis without closing its connections."""
        if self._redis is not None:
            self._redis.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen Redis go on."""
        if self._redis is not None:
            self._redis.send_signal(signal.SIGCONT)

    def empty(self) -> None:
        """Take away its data; it is not running."""
        shutil.rmtree(self.folder / "data")
        (self.folder / "data").mkdir()

    def remove(self) -> None:
        """End both and take away all that they wrote."""
        self.kill(sentinel=True)
        shutil.rmtree(self.folder)

    def _run(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                (*self._prefix, str(redis_program()), *arguments), stdout=log, stderr=log
            )


class Copies:
    """Nodes of which the first begins as the primary and the others follow it."""

    def __init__(self, nodes: Sequence[Node], *options: str) -> None:
        self.nodes = tuple(nodes)
        self._options = options

    @property
    def url(self) -> str:
        """Return the address that a client is given."""
        hosts = ",".join(f"{node.address}:{node.sentinel_port}" for node in self.nodes)
        return f"redis+sentinel://{hosts}/{SERVICE}"

    def start(self, within: float = WHOLE_WITHIN) -> None:
        """Start everything, and wait so many seconds until all of it knows of each other."""
        first, *others = self.nodes
        first.start(None)
        for node in others:
            node.start(first.where)
        for node in self.nodes:
            node.watch(first.where, *self._options)
        until(self.whole, within)

    def whole(self) -> bool:
        """Whether every Sentinel lists two replicas that are there, and every other Sentinel."""
        for node in self.nodes:
            with contextlib.suppress(redis.RedisError):
                replicas = node.sentinel().execute_command("SENTINEL", "REPLICAS", SERVICE)
                state = node.sentinel().execute_command("SENTINEL", "MASTER", SERVICE)
                good = [it for it in map(as_dict, replicas) if it["flags"] == "slave"]
                linked = [it for it in good if it["master-link-status"] == "ok"]
                others = as_dict(state)["num-other-sentinels"]
                if len(linked) == len(self.nodes) - 1 == int(others):
                    continue
            return False
        return True

    def primary(self) -> Node:
        """Return whom most Sentinels call the primary."""
        named = []
        for node in self.nodes:
            with contextlib.suppress(redis.RedisError):
                named.append(
                    tuple(
                        node.sentinel().execute_command(
                            "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE
                        )
                    )
                )
        host, port = max(set(named), key=named.count)
        return next(node for node in self.nodes if node.where == (host, int(port)))

    def remove(self) -> None:
        """End everything."""
        for node in self.nodes:
            node.remove()


@contextlib.contextmanager
def copies(*options: str) -> Iterator[Copies]:
    """Run three copies on loopback while the context lasts."""
    three = begun(options)
    try:
        yield three
    finally:
        three.remove()


def begun(options: Sequence[str], tries: int = 3) -> Copies:
    """Return three copies that are whole.

    Sentinels that fall out with each other before all are there, as one of them was kept from
    running, are begun with anew.
    """
    three = Copies([Node() for _ in range(3)], *options)
    try:
        three.start(WHOLE_WITHIN / 3)
    except BaseException as error:
        three.remove()
        if isinstance(error, AssertionError) and tries > 1:
            return begun(options, tries - 1)
        raise
    return three


def as_dict(reply: Any) -> dict[str, str]:
    """Return a reply of a Sentinel, which is a map or a list of names and values."""
    return (
        dict(reply) if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
    )


def until(holds: Any, seconds: float = 60) -> None:
    """Wait until something holds; an error of Redis means not yet."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(redis.RedisError):
            if holds():
                return
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds} s it still does not hold")
        time.sleep(0.05)
