"""The Redis of our stack, as its image starts it: a torn write is gone before Redis sees it."""

from collections.abc import Iterator

import pytest

from infra.engine.report import ROOT
from tests.docker.containers import HARDENED, Engine, unique, until
from tests.scripted import publish_script

RUN = ("redis-server", "--appendonly", "yes", "--appendfsync", "always")
FILE = "/data/appendonlydir/appendonly.aof.1.incr.aof"


@pytest.fixture
def image(docker: Engine) -> Iterator[str]:
    """Build it as Compose does."""
    name = unique()
    docker("build", "--target", "redis", "--tag", name, str(ROOT / "infra/images"))
    yield name
    docker.clean()
    docker("image", "rm", "--force", name)


@pytest.fixture
def redis(docker: Engine, image: str) -> str:
    """A hardened server with a volume, as in prod, that holds one event."""
    options = (*HARDENED, "--user", "999:999", "--volume", f"{docker.volume()}:/data")
    container = docker.start(image, *options, run=RUN)
    wait(docker, container)
    publish(docker, container, "a")
    return container


def wait(docker: Engine, container: str) -> None:
    """Wait until it takes commands."""
    ping = ("exec", container, "redis-cli", "ping")
    until(lambda: docker.command(*ping).stdout.strip() == "PONG")


def publish(docker: Engine, container: str, *ids: str) -> None:
    """Publish events in one call, as `shared.streams` does."""
    call = publish_script("events", {event_id: event_id for event_id in ids})
    docker.inside(container, "redis-cli", "eval", *call)


def events(docker: Engine, container: str) -> list[str]:
    """Return the payloads in the stream."""
    return docker.inside(container, "redis-cli", "xrange", "events", "-", "+").split()[2::3]


def change(docker: Engine, container: str, command: str) -> None:
    """Run a command on the data of a container that does not run."""
    options = ("--rm", "--user", "999:999", "--volumes-from", container, "--entrypoint", "sh")
    docker("run", *options, docker("inspect", "-f", "{{.Image}}", container), "-c", command)


def test_a_torn_write_is_neither_lost_nor_doubled(docker: Engine, redis: str) -> None:
    """SIGKILL of the container in the middle of a write, a start, a retry, and the same again."""
    publish(docker, redis, "b", "c")
    docker("kill", redis)
    change(docker, redis, f"truncate -s -30 {FILE}")
    docker("start", redis)
    wait(docker, redis)
    assert events(docker, redis) == ["a"]
    publish(docker, redis, "b", "c")
    docker("kill", redis)
    docker("start", redis)
    wait(docker, redis)
    assert events(docker, redis) == ["a", "b", "c"]
    assert "an unfinished write" in docker.logs(redis)


def test_damage_keeps_it_from_starting(docker: Engine, redis: str) -> None:
    """The container ends with 65 and advice; the file is as it was."""
    docker("kill", redis)
    change(docker, redis, f"printf '\\0' | dd of={FILE} bs=1 seek=4 conv=notrunc")
    docker("start", redis)
    assert docker.exit_code(redis) == 65
    assert "Restore a backup" in docker.logs(redis)
