"""One sender fills prod's Redis with the largest commands that there can be; nobody else loses any.

Without the quota of senders, which lets none come so far: this is what a thousand senders could do.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest
from pydantic_core import from_json

from shared.generated.events import (
    EventRefusedError,
    broker,
    command_received,
    publish_command_received,
)
from shared.generated.schemas import CommandReceived
from shared.streams.dead_letters.letters import DeadLetter
from shared.streams.event.envelope import FIELD_BYTES
from tests.servers import RedisServer

MEMORY = 256 * 1024 * 1024
"""What prod's Redis has; infra/compose.prod.yml."""
COMMANDS = 10_601
"""The largest commands that there can be; it has room for some 9,200 of them."""
BATCH = 100
"""What a bot has in hand."""
LONG = "€" * 4087
"""The largest text that Telegram sends: an event of 24,767 bytes."""


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server with prod's limit."""
    with RedisServer("--maxmemory", str(MEMORY), engine="redis") as started:
        yield started


@pytest.fixture
async def _connected(server: RedisServer) -> AsyncIterator[None]:
    await broker.connect(server.url, source="/tg_bot")
    yield
    await broker.close()


def command(user: int, text: str) -> CommandReceived:
    """Return what a user wrote."""
    return CommandReceived(
        command=f"/command {text}",
        args=[text],
        user_id=user,
        timestamp=datetime(2026, 1, 31, tzinfo=UTC),
    )


async def publish(event_id: str, event: CommandReceived) -> str:
    """Publish as a handler does; return what its sender is told."""
    try:
        await publish_command_received(event, event_id=event_id)
    except EventRefusedError:
        return "refused"
    return "published"


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("_connected")
async def test_whoever_fills_the_store_takes_nobody_elses_command(server: RedisServer) -> None:
    """Each command is in the stream or refused, never both, and its sender is told which.

    Nobody reads meanwhile. When the readers come back, commands are taken again at once.
    """
    client = server.client()
    client.xgroup_create(command_received.name, "backend", id="0", mkstream=True)
    outcomes: dict[str, str] = {}
    for start in range(0, COMMANDS, BATCH):
        batch = {f"1:{n}": command(1, LONG) for n in range(start, min(start + BATCH, COMMANDS))}
        batch[f"2:{start}"] = command(2, f"small {start}")
        outcomes |= zip(
            batch, await asyncio.gather(*map(publish, batch, batch.values())), strict=True
        )

    published, refused = standing(server), letters(server)
    assert sorted(outcomes) == sorted([*published, *refused])
    assert sorted(published) == sorted(id_ for id_ in outcomes if outcomes[id_] == "published")
    assert sorted(refused) == sorted(id_ for id_ in outcomes if outcomes[id_] == "refused")
    assert any(id_.startswith("1:") for id_ in refused)

    while page := client.xreadgroup("backend", "m", {command_received.name: ">"}, count=500):
        client.xack(command_received.name, "backend", *[id_ for id_, _ in page[0][1]])
    assert await publish("2:after", command(2, LONG)) == "published"


def standing(server: RedisServer) -> list[str]:
    """Return the event ids of the stream, read in pages."""
    client, ids, start = server.client(), [], "-"
    while page := client.xrange(command_received.name, min=start, count=500):
        ids += [str(from_json(fields[FIELD_BYTES])["id"]) for _, fields in page]
        start = f"({page[-1][0].decode()}"
    return ids


def letters(server: RedisServer) -> list[str]:
    """Return the event ids of the dead letters."""
    page = server.client().xrange(command_received.dead_letters)
    return [DeadLetter.parse(fields).event_id for _, fields in page]
