"""Redis' data: a snapshot of one moment to a file, and a file in place of what is there."""

import os
import time
from pathlib import Path

from deploy.agent import docker
from deploy.agent.files import from_file, to_file
from deploy.agent.health import wait_until_healthy
from deploy.agent.layout import AgentError
from deploy.agent.smoke import OPERATOR, redis_cli

WITHIN = 300.0
PAUSE_SECONDS = 3.0
STARTED = "Background saving started"


def pause_and_fork(container: str) -> int | None:
    """Hold writers back for PAUSE_SECONDS, and have Redis begin a snapshot of this very moment.

    Returns the number of snapshots so far; None where Redis is busy with another one, or with its
    append-only file, and nobody is held back.
    """
    told = ask(container, f"CLIENT PAUSE {PAUSE_SECONDS * 1000:.0f} WRITE", "BGSAVE")
    if STARTED in told[-1]:
        return snapshots(container)
    resume(container)
    return None


def snapshots(container: str) -> int:
    """Return how many snapshots Redis has begun since its start."""
    return int(persistence(container)["rdb_saves"])


def resume(container: str) -> None:
    """Let writers go on."""
    redis_cli(container, "CLIENT", "UNPAUSE")


def copy(container: str, number: int, path: Path) -> None:
    """Copy a snapshot to a new file once it is written.

    Raises:
        AgentError: It could not be written, or Redis has replaced it by another one.
    """
    deadline = time.monotonic() + WITHIN
    while (facts := persistence(container))["rdb_bgsave_in_progress"] != "0":
        if time.monotonic() > deadline:
            raise AgentError(f"redis: no snapshot was written within {WITHIN:.0f} s")
        time.sleep(0.1)
    if facts["rdb_last_bgsave_status"] != "ok":
        raise AgentError("redis could not write its snapshot; see make logs service=redis")
    to_file(("docker", "exec", container, "cat", "/data/dump.rdb"), path)
    if snapshots(container) != number:
        raise AgentError("redis: the snapshot was replaced by another one; back up again")


def persistence(container: str) -> dict[str, str]:
    """Return what Redis says of its persistence."""
    lines = (line.partition(":") for line in ask(container, "INFO persistence"))
    return {name: value for name, _, value in lines}


def ask(container: str, *lines: str) -> list[str]:
    """Ask Redis several things over one connection, as its operator."""
    command = ("docker", "exec", "-i", container, "sh", "-c", OPERATOR, "sh")
    told = docker.run(*command, stdin="".join(f"{line}\n" for line in lines).encode())
    return [line for line in told.splitlines() if line.strip()] or [""]


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


def load(project: str, container: str, path: Path) -> None:
    """Replace Redis' files by a snapshot, from which it then writes a new append-only file."""
    image = next(one.image for one in docker.containers(project) if one.id == container)
    docker.stop(container)
    isolated = ("docker", "run", "--rm", "--network", "none", "--user", "999:999", "-i")
    place = ("--volumes-from", container, "--entrypoint", "sh", image, "-c")
    empty = "rm -rf /data/appendonlydir /data/*.aof /data/dump.rdb && cat > /data/dump.rdb"
    from_file((*isolated, *place, empty), path)
    # An append-only start ignores the snapshot: load it without, and have the file written from it.
    rewrite = (
        "redis-server --dir /data --appendonly no --unixsocket /tmp/s --port 0 "
        "--daemonize yes --logfile /dev/null && r='redis-cli -s /tmp/s' && "
        'until [ "$($r ping 2>/dev/null)" = PONG ]; do sleep 0.1; done && '
        "$r config set appendonly yes && "
        "while $r info persistence | grep -qE 'aof_rewrite_(in_progress|scheduled):1|"
        "aof_last_bgrewrite_status:err'; do sleep 0.1; done && $r shutdown save"
    )
    limited = ("timeout", f"{WITHIN - 10:.0f}", "sh", "-c", rewrite)
    run = ("docker", "run", "--rm", "--network", "none", "--user", "999:999")
    inside = ("--tmpfs", "/tmp", "--volumes-from", container)  # noqa: S108 - in the container
    docker.run(*run, *inside, "--entrypoint", limited[0], image, *limited[1:], timeout=WITHIN)
    docker.start(container)
    wait_until_healthy(project, container, 120)
