"""The proof before a release counts: one synthetic event takes the whole path, then is removed.

It is published inside the publisher's new container, by its code and with its rights; it has to
be in the stream, be consumed by the group, and have had its effect in the database just once.
"""

import json
import time

from deploy.agent.cutover.buried import order
from deploy.agent.host import docker
from deploy.agent.host.errors import AgentError
from deploy.agent.host.layout import Json
from deploy.agent.host.redis_cli import Redis, as_object, running
from deploy.agent.host.release import Release
from shared.keys import marker

WITHIN = 30.0


def smoke(release: Release, event: str) -> float:
    """Send one event through and remove it; return how many seconds that took.

    Args:
        release: It says how it is tested.
        event: The id of the event; whoever undoes a failed test removes it with `tidy`.

    Raises:
        AgentError: It did not arrive, or not once.
    """
    test: Json = release.facts["smoke"]
    redis = Redis.of(release)
    began = time.monotonic()
    entry = publish(running(release.project, test["publisher"]), test["code"], event)
    seen(redis, test["stream"], entry, event)
    for group in test["groups"]:
        wait_until_consumed(redis, test["stream"], group, entry)
    for service, times in tidy(release, event).items():
        if times != 1:
            raise AgentError(f"smoke test: the event counted {times} times at {service}, not once")
    return time.monotonic() - began


def publish(container: str, code: str, event: str) -> str:
    """Publish the event and return its entry id."""
    command = ("timeout", "60", "docker", "exec", container, "python", "-c", code, event)
    try:
        return docker.run(*command).strip().splitlines()[-1]
    except (AgentError, IndexError) as error:
        raise AgentError(f"smoke test: the event could not be published: {error}") from None


def seen(redis: Redis, stream: str, entry: str, event: str) -> None:
    """Read the stream as any client would, from just before the entry."""
    milliseconds, _, sequence = entry.partition("-")
    before = f"{milliseconds}-{int(sequence) - 1}" if int(sequence) else f"{int(milliseconds) - 1}"
    answer = redis.ask("XREAD", "COUNT", "1", "STREAMS", stream, before)
    if event not in json.dumps(answer):
        raise AgentError(f"smoke test: XREAD of {stream} does not show the event")


def wait_until_consumed(redis: Redis, stream: str, group: str, entry: str) -> None:
    """Wait until the group has read the entry and acknowledged it."""
    deadline = time.monotonic() + WITHIN
    while True:
        groups = redis.ask("XINFO", "GROUPS", stream)
        ids = {facts["name"]: facts["last-delivered-id"] for facts in as_objects(groups)}
        last = ids.get(group, "0-0")
        if order(last) >= order(entry) and not redis.ask(
            "XPENDING", stream, group, entry, entry, "1"
        ):
            return
        if time.monotonic() > deadline:
            raise AgentError(
                f"smoke test: group {group} has not consumed the event in {WITHIN:.0f} s"
            )
        time.sleep(0.1)


def as_objects(groups: object) -> list[Json]:
    """Return XINFO's answer as objects: redis-cli gives maps, or flat lists before Redis 7."""
    return [as_object(facts) for facts in groups] if isinstance(groups, list) else []


def tidy(release: Release, event: str) -> dict[str, int]:
    """Remove every trace of the event; return how often it had counted, by subscriber.

    Raises:
        AgentError: Redis or a subscriber does not answer; something may be left.
    """
    test: Json = release.facts["smoke"]
    redis, stream = Redis.of(release), test["stream"]
    # The marker's text is the entry's id, and behind a tab the source; a release without sources
    # writes the id alone.
    remembered = redis.ask("GET", marker(stream, event))
    entry = remembered.partition("\t")[0] if isinstance(remembered, str) else ""
    if entry and not entry.startswith("refused:"):
        redis.ask("XDEL", stream, entry)
        for group in test["groups"]:
            redis.ask("XACK", stream, group, entry)
    redis.ask("DEL", marker(stream, event))
    inside = ("docker", "exec")
    return {
        service: int(
            docker.run(*inside, running(release.project, service), *command, event, timeout=60)
        )
        for service, command in undoing(test).items()
    }


def undoing(test: Json) -> dict[str, list[str]]:
    """Return the command by which each subscriber undoes an event; a word of before is known."""
    commands: dict[str, list[str]] = test["undo"] if "undo" in test else test["forget"]
    return commands
