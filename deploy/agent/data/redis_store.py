"""Redis' data: a snapshot of one moment to a file, and a file in place of what is there."""

import os
import time
from pathlib import Path

from deploy.agent.host import docker
from deploy.agent.host.errors import AgentError
from deploy.agent.host.files import from_file, to_file
from deploy.agent.host.health import wait_until_healthy
from deploy.agent.host.redis_cli import Redis

WITHIN = 300.0
PAUSE_SECONDS = 3.0
STARTED = "Background saving started"


def pause_and_fork(redis: Redis) -> int | None:
    """Hold writers back for PAUSE_SECONDS, and have Redis begin a snapshot of this very moment.

    Returns the number of snapshots so far; None where Redis is busy with another one, or with its
    append-only file, and nobody is held back.
    """
    answers = redis.ask_all(f"CLIENT PAUSE {PAUSE_SECONDS * 1000:.0f} WRITE", "BGSAVE")
    if STARTED in answers[-1]:
        return snapshots(redis)
    resume(redis)
    return None


def snapshots(redis: Redis) -> int:
    """Return how many snapshots Redis has begun since its start."""
    return int(persistence(redis)["rdb_saves"])


def resume(redis: Redis) -> None:
    """Let writers go on."""
    redis.ask("CLIENT", "UNPAUSE")


def copy(redis: Redis, number: int, path: Path) -> None:
    """Copy a snapshot to a new file once it is written.

    Raises:
        AgentError: It could not be written, or Redis has replaced it by another one.
    """
    deadline = time.monotonic() + WITHIN
    while (facts := persistence(redis))["rdb_bgsave_in_progress"] != "0":
        if time.monotonic() > deadline:
            raise AgentError(f"redis: no snapshot was written within {WITHIN:.0f} s")
        time.sleep(0.1)
    if facts["rdb_last_bgsave_status"] != "ok":
        raise AgentError("redis could not write its snapshot; see make logs service=redis")
    to_file(("docker", "exec", redis.container, "cat", f"{redis.folder}/dump.rdb"), path)
    if snapshots(redis) != number:
        raise AgentError("redis: the snapshot was replaced by another one; back up again")


def persistence(redis: Redis) -> dict[str, str]:
    """Return what Redis says of its persistence."""
    lines = (line.partition(":") for line in redis.ask_all("INFO persistence"))
    return {name: value for name, _, value in lines}


def check(image: str, path: Path) -> None:
    """Make sure that Redis can read a snapshot.

    Raises:
        AgentError: It cannot.
    """
    isolated = ("docker", "run", "--rm", "--network", "none", "--user", "0:0", "--read-only")
    place = ("--volume", f"{path}:/dump.rdb:ro", "--entrypoint", "redis-check-rdb", image)
    try:
        docker.run(*isolated, *place, "/dump.rdb", timeout=WITHIN)
    except AgentError:
        raise AgentError(f"{path} is no snapshot that Redis can read", os.EX_DATAERR) from None


def load(redis: Redis, path: Path) -> None:
    """Replace Redis' files by a snapshot, from which it then writes a new append-only file."""
    running = docker.container(redis.container)
    if running is None:
        raise AgentError("redis: its container is gone")
    image = running.image
    docker.stop(redis.container)
    isolated = ("docker", "run", "--rm", "--network", "none", "--user", redis.user)
    place = ("--volumes-from", redis.container, "--entrypoint", "sh")
    # The folder is the shell's $0.
    empty = 'cd "$0" && rm -rf appendonlydir *.aof dump.rdb && cat >dump.rdb'
    from_file((*isolated, "-i", *place, image, "-c", empty, redis.folder), path)
    # An append-only start ignores the snapshot: load it without, and have the file written from it.
    rewrite = (
        'redis-server --dir "$0" --appendonly no --unixsocket /tmp/s --port 0 '
        "--daemonize yes --logfile /dev/null && r='redis-cli -s /tmp/s' && "
        'until [ "$($r ping 2>/dev/null)" = PONG ]; do sleep 0.1; done && '
        "$r config set appendonly yes && "
        "while $r info persistence | grep -qE 'aof_rewrite_(in_progress|scheduled):1|"
        "aof_last_bgrewrite_status:err'; do sleep 0.1; done && $r shutdown save"
    )
    limited = (f"{WITHIN - 10:.0f}", "sh", "-c", rewrite, redis.folder)
    inside = ("--tmpfs", "/tmp", "--volumes-from", redis.container)  # noqa: S108 - in the container
    docker.run(*isolated, *inside, "--entrypoint", "timeout", image, *limited, timeout=WITHIN)
    docker.start(redis.container)
    wait_until_healthy(redis.container, 120)
