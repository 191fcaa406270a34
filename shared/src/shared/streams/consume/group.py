"""A consumer group's commands, as one member of the group gives them.

Sources: redis.io/docs/latest/commands/ — xgroup-create, xreadgroup, xautoclaim, xclaim, xack,
xpending, xinfo-groups.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from time import time
from typing import TYPE_CHECKING, Any

from redis.exceptions import OutOfMemoryError, ResponseError

from shared.keys import buried_of, dead_letters_of, marker, replayed_of
from shared.streams.consume import attempts
from shared.streams.server.fenced import held_to_primary
from shared.streams.server.scripts import load_script

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from shared.streams.consume.delivery import DeliveryInfo
    from shared.streams.dead_letters.letters import DeadLetter

Fields = dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Entry:
    """A stream entry that this member has been given.

    `deliveries` is what the group has counted. For an entry that was claimed these are handlers
    that began and had no outcome; one that was just read is counted already.
    """

    id: str
    fields: Fields
    deliveries: int
    claimed: bool


@dataclass(frozen=True, slots=True)
class GroupState:
    """What a group has not read (`lag`, None where Redis cannot tell) and not finished.

    `lag_seconds` is the age of the oldest entry that it has not read; 0 where it has read all.
    """

    lag: int | None
    pending: int
    oldest_pending_seconds: float | None
    lag_seconds: float | None = None


class Group:
    """One member of a consumer group. Every method is one round trip and may raise RedisError."""

    def __init__(self, client: "Redis", stream: str, name: str, member: str) -> None:
        self._server = client
        self._use(client)
        self.stream = stream
        self.name = name
        self.member = member

    def _use(self, client: "Redis") -> None:
        self._client = client
        self._bury = client.register_script(load_script("dead_letter"))

    async def create(self) -> None:
        """Make the group at the start of the stream, unless somebody has.

        A full server makes none and does not say whether there is one; reading will. With copies
        every other method is held to the server that is the primary now, and raises
        PrimaryChangedError where another one has become it: entry ids mean others there.
        """
        self._use(await held_to_primary(self._server))
        try:
            await self._client.xgroup_create(self.stream, self.name, id="0", mkstream=True)
        except OutOfMemoryError:
            return
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    async def read(self, count: int, block: float) -> list[Entry]:
        """Return up to `count` entries that no member has been given, waiting `block` seconds."""
        reply = await self._client.xreadgroup(
            self.name, self.member, {self.stream: ">"}, count=count, block=max(1, int(block * 1000))
        )
        batches = reply.values() if isinstance(reply, dict) else (b[1] for b in reply or ())
        return [
            Entry(id_.decode(), fields, 1, claimed=False)
            for batch in batches
            for id_, fields in _flat(batch)
        ]

    async def claim(self, count: int, idle: float) -> list[Entry]:
        """Take over up to `count` entries that their members have left alone for `idle` seconds.

        It counts no delivery: most of them have done nothing but wait beside one that kills.
        """
        client = self._client
        ids = [
            id_.decode()
            for id_ in await client.xautoclaim(
                *(self.stream, self.name, self.member, int(idle * 1000)),
                start_id="0",
                count=count,
                justid=True,
            )
        ]
        return await self._left(client, ids)

    async def own(self, count: int) -> list[Entry]:
        """Return up to `count` entries that this member was given and has not finished with."""
        client = self._client
        pending: list[Any] = await client.xpending_range(
            self.stream, self.name, "-", "+", count, consumername=self.member
        )
        return await self._left(client, [each["message_id"].decode() for each in pending])

    async def _left(self, client: "Redis", ids: list[str]) -> list[Entry]:
        """Return those of the entries that are this member's, as they were left behind."""
        if not ids:
            return []
        async with client.pipeline(transaction=False) as pipe:
            pipe.xpending_range(
                self.stream, self.name, ids[0], ids[-1], 10_000, consumername=self.member
            )
            for id_ in ids:
                pipe.xrange(self.stream, id_, id_)
            pending, *entries = await pipe.execute()
        counts = {p["message_id"].decode(): int(p["times_delivered"]) for p in pending}
        return [
            Entry(id_, entry[0][1], counts[id_], claimed=True)
            for id_, entry in zip(ids, entries, strict=True)
            if entry and id_ in counts
        ]

    async def acknowledge(self, ids: Iterable[str]) -> None:
        """Finish with these entries."""
        await self._client.xack(self.stream, self.name, *ids)

    async def redeliver(self, id_: str, deliveries: int) -> bool:
        """Set how many deliveries are counted; False where the entry is finished with."""
        taken = await self._client.xclaim(
            self.stream, self.name, self.member, 0, [id_], retrycount=deliveries, justid=True
        )
        return bool(taken)

    async def failed(self, delivery: "DeliveryInfo", number: int, reason: str) -> None:
        """Keep why an attempt failed, for who asks for the way of its entry."""
        await attempts.write(self._client, self.name, delivery, number, reason)

    async def keep(self, ids: Iterable[str], idle: float = 0.0) -> None:
        """Set the idle time of entries in hand: 0 keeps others off, more hands them over."""
        await self._client.xclaim(
            self.stream, self.name, self.member, 0, list(ids), idle=int(idle * 1000), justid=True
        )

    async def bury(self, id_: str, letter: "DeadLetter", *, is_event: bool) -> bool:
        """Move an entry to the dead letters.

        Returns:
            False where the entry is finished with already, or its event was replayed meanwhile.
        """
        stream = self.stream
        keys = [
            *(stream, dead_letters_of(stream), marker(stream, letter.event_id)),
            *(replayed_of(stream), buried_of(stream)),
        ]
        source = letter.source if is_event else ""
        return bool(await self._bury(keys, [self.name, id_, source, *letter.fields()]))

    async def state(self) -> GroupState:
        """Return how far the group as a whole has come."""
        return await state_of(self._server, self.stream, self.name.encode())


async def state_of(client: "Redis", stream: str, group: bytes) -> GroupState:
    """Return how far a group of any name has come; whoever may read can make one."""
    groups = await client.xinfo_groups(stream)
    mine = next((g for g in groups if g["name"] == group), None)
    if mine is None:
        return GroupState(lag=None, pending=0, oldest_pending_seconds=None)
    lag, pending, oldest = mine["lag"], int(mine["pending"]), None
    if pending:
        summary: Any = await client.xpending(stream, group)
        if first := summary["min"]:
            oldest = _age_of(first)
    behind = None if lag is None else 0.0
    if lag:
        after = b"(" + mine["last-delivered-id"]
        unread = await client.xrange(stream, after, count=1)
        behind = _age_of(unread[0][0]) if unread else 0.0
    return GroupState(None if lag is None else int(lag), pending, oldest, behind)


def _age_of(id_: Any) -> float:
    """Return how many seconds ago an entry was added."""
    return max(0.0, time() - int(id_.split(b"-")[0]) / 1000)


def _flat(batch: Any) -> Any:
    """Return the entries of one stream's reply, whichever protocol version it came in."""
    return batch[0] if len(batch) == 1 and isinstance(batch[0], list) else batch
