"""The proof before a release counts: one synthetic event takes the whole path, then is removed.

It is published inside the publisher's new container, by its code and with its rights; it has to
be in the stream, be consumed by the group, and have had its effect in the database just once.
"""

import json
import time
import uuid

from deploy.agent import docker
from deploy.agent.layout import AgentError, Json
from deploy.agent.release import Release

WITHIN = 30.0
OPERATOR = (
    'REDISCLI_AUTH="$(cat /run/secrets/REDIS_OPERATOR_PASSWORD)" '
    'exec redis-cli --user operator --no-auth-warning --json "$@"'
)


def smoke(release: Release) -> float:
    """Send one event through; return how many seconds that took.

    Raises:
        AgentError: It did not arrive.
    """
    test: Json = release.facts["smoke"]
    there = {one.service: one for one in docker.containers(release.project) if one.running}
    for part in ("publisher", "redis", "postgres"):
        if test[part] not in there:
            raise AgentError(f"smoke test: {test[part]} does not run")
    redis = there[test["redis"]].id
    event = f"smoke-{uuid.uuid4()}"
    began = time.monotonic()
    try:
        entry = publish(there[test["publisher"]].id, test["code"], event)
        seen(redis, test["stream"], entry, event)
        for group in test["groups"]:
            wait_until_consumed(redis, test["stream"], group, entry)
    except BaseException:
        tidy(redis, there[test["postgres"]].id, test, event)
        raise
    rows = tidy(redis, there[test["postgres"]].id, test, event)
    if rows != 1:
        raise AgentError(f"smoke test: the event had its effect {rows} times, not once")
    return time.monotonic() - began


def publish(container: str, code: str, event: str) -> str:
    """Publish the event and return its entry id."""
    command = ("timeout", "60", "docker", "exec", container, "python", "-c", code, event)
    try:
        return docker.run(*command).strip().splitlines()[-1]
    except (AgentError, IndexError) as error:
        raise AgentError(f"smoke test: the event could not be published: {error}") from None


def redis_cli(container: str, *arguments: str) -> object:
    """Ask Redis as its operator."""
    return json.loads(
        docker.run("docker", "exec", container, "sh", "-c", OPERATOR, "sh", *arguments)
    )


def seen(redis: str, stream: str, entry: str, event: str) -> None:
    """Read the stream as any client would, from just before the entry."""
    milliseconds, _, sequence = entry.partition("-")
    before = f"{milliseconds}-{int(sequence) - 1}" if int(sequence) else f"{int(milliseconds) - 1}"
    told = redis_cli(redis, "XREAD", "COUNT", "1", "STREAMS", stream, before)
    if event not in json.dumps(told):
        raise AgentError(f"smoke test: XREAD of {stream} does not show the event")


def wait_until_consumed(redis: str, stream: str, group: str, entry: str) -> None:
    """Wait until the group has read the entry and acknowledged it."""
    deadline = time.monotonic() + WITHIN
    while True:
        groups = redis_cli(redis, "XINFO", "GROUPS", stream)
        last = next(
            (one["last-delivered-id"] for one in as_objects(groups) if one["name"] == group), "0-0"
        )
        if order(last) >= order(entry) and not redis_cli(
            redis, "XPENDING", stream, group, entry, entry, "1"
        ):
            return
        if time.monotonic() > deadline:
            raise AgentError(
                f"smoke test: group {group} has not consumed the event in {WITHIN:.0f} s"
            )
        time.sleep(0.1)


def as_objects(groups: object) -> list[Json]:
    """Return XINFO's answer as objects: redis-cli gives maps, or flat lists before Redis 7."""
    found = groups if isinstance(groups, list) else []
    return [
        one if isinstance(one, dict) else dict(zip(one[::2], one[1::2], strict=True))
        for one in found
    ]


def order(entry: str) -> tuple[int, int]:
    """Return an entry id as numbers that compare."""
    milliseconds, _, sequence = entry.partition("-")
    return int(milliseconds), int(sequence or 0)


def tidy(redis: str, postgres: str, test: Json, event: str) -> int:
    """Remove every trace of the event; return how many rows it had made."""
    stream = test["stream"]
    marker = f"{{{stream}}}:id:{event}"
    # redis-cli --json gives the marker's text: the entry's id.
    entry = redis_cli(redis, "GET", marker)
    if isinstance(entry, str) and not entry.startswith("refused:"):
        redis_cli(redis, "XDEL", stream, entry)
    redis_cli(redis, "DEL", marker)
    sql = test["tidy"].replace(":event", f"'{event}'")
    psql = ("psql", "-U", test["database_user"], "-d", test["database"], "-qAtX")
    told = docker.run("docker", "exec", postgres, *psql, "-v", "ON_ERROR_STOP=1", "-c", sql)
    return int(told.strip() or 0)
