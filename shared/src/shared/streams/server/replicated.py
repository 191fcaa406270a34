"""Calls to a Redis with copies, whose effects outlive the loss of any one server.

Each is sent with a write and a WAIT behind it, in one round trip: it counts when a replica has it
too, and else its outcome is unknown, so it is made again. That is no consensus: the Sentinels may
make B the primary while C still acknowledges what A takes. What was confirmed lately is therefore
kept, and made again, first and in its order, when the primary is another process than before; a
call that has been carried out there changes nothing.

Sources: redis.io/docs/latest/commands/wait/ and
redis.io/docs/latest/operate/oss_and_stack/management/sentinel/, "Sentinel and Redis as distributed
system".
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

import structlog
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, OutOfMemoryError, ResponseError

from shared.process import check_cancelled, describe
from shared.streams.retry import UNKNOWN
from shared.streams.server.line import Argument, packed
from shared.streams.server.primary import ToPrimary
from shared.streams.server.scripts import load_script

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.commands.core import AsyncScript

log = structlog.get_logger(__name__)

REPLICAS = 1
"""How many replicas have to have a call's effects; of three servers any one may be lost then."""
REPLICA_TIMEOUT = 1.0
"""Seconds that they have for it."""
KEPT_SECONDS = 60.0
"""How long a confirmed call is kept, counted to when a majority last named the same primary."""
KEPT_BYTES = 64 * 1024 * 1024
"""What is kept at most; beyond it the oldest goes early, which is said in the log."""
AGAIN_TOGETHER = 100
"""Kept calls that share a round trip when they are made again."""
LOOK_EVERY = 1.0
"""Seconds between two questions to the Sentinels while something is kept."""


class NotReplicatedError(RedisConnectionError):
    """Too few replicas have the call's effects, so nobody knows whether they will last."""


@dataclass(frozen=True, slots=True)
class Call:
    """A command that may be carried out again, and the key that is written behind it.

    Attributes:
        command: as it is sent.
        touch: the key, in the slot of the command's.
        script: what it runs, where it runs one; loaded where the server lacks it.
    """

    command: bytes
    touch: str
    script: str = ""


def script_call(
    script: "AsyncScript", keys: Sequence[Argument], args: Sequence[Argument], touch: str
) -> Call:
    """Return the call of a script."""
    command = packed("EVALSHA", script.sha, len(keys), *keys, *args)
    return Call(command, touch, str(script.script))


class ReplicatedLine:
    """Makes calls on a connection of its own, one after the other.

    Args:
        client: one whose connections are `ToPrimary`.
        timeout: seconds for one call, from the first byte sent to the whole answer.
    """

    def __init__(self, client: "Redis", timeout: float) -> None:
        self._pool = client.connection_pool
        self._touch = client.register_script(load_script("touch"))
        self._timeout = timeout
        self._turn = asyncio.Lock()
        self._connection: ToPrimary | None = None
        self._run_id = ""
        self._kept: deque[tuple[float, Call]] = deque()
        self._bytes = 0
        self._forgot = False
        self._watching: asyncio.Task[None] | None = None

    async def call(self, call: Call, *, keep: bool = True) -> Any:
        """Return a call's answer once a replica has its effects.

        Args:
            call: what to call.
            keep: whether it is made again where the primary turns out to be another.

        Raises:
            redis.exceptions.RedisError, OSError, TimeoutError: nobody knows whether it was carried
                out, or whether that will last.
        """
        async with self._turn:
            connection = await self._caught_up()
            (answer,) = await self._make(connection, call)
            if keep:
                self._keep(call)
        return answer

    async def close(self) -> None:
        """Keep nothing any more, and disconnect."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
            self._watching = None
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)
            await self._pool.release(connection)

    # The primary

    async def _caught_up(self) -> ToPrimary:
        """Return a connection to the primary, which has been told again all that was kept."""
        if self._connection is None:
            self._connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]  # theirs
            self._connection.socket_timeout = None  # ours covers the whole call
        connection = self._connection
        if not connection.is_connected or connection.is_stale:
            async with asyncio.timeout(self._timeout):
                await connection.connect()
        if connection.run_id != self._run_id:
            if self._kept:
                log.warning("another primary; publishing again", calls=len(self._kept))
            try:
                calls = [call for _, call in self._kept]
                for start in range(0, len(calls), AGAIN_TOGETHER):
                    await self._make(connection, *calls[start : start + AGAIN_TOGETHER])
            except OutOfMemoryError:
                return connection  # what comes now makes room; these stay kept meanwhile
            self._run_id = connection.run_id
        return connection

    async def _watch(self) -> None:
        """While something is kept, look whether the primary is still the same."""
        while self._kept:
            check_cancelled()
            await asyncio.sleep(LOOK_EVERY)
            try:
                await self._look()
            except UNKNOWN as error:
                log.debug("the primary is not known", reason=describe(error))

    async def _look(self) -> None:
        """Ask the Sentinels; forget what is old where they name the server that has it."""
        asked = monotonic()
        if self._connection is None:
            return
        primary = await self._connection.sentinels.primary()
        async with self._turn:
            if self._connection.is_connected and self._connection.server != primary:
                await self._connection.disconnect(nowait=True)
            connection = await self._caught_up()
            if connection.server == primary and connection.run_id == self._run_id:
                while self._kept and self._kept[0][0] < asked - KEPT_SECONDS:
                    self._bytes -= len(self._kept.popleft()[1].command)

    def _keep(self, call: Call) -> None:
        """Keep a confirmed call."""
        self._kept.append((monotonic(), call))
        self._bytes += len(call.command)
        while self._bytes > KEPT_BYTES:
            self._bytes -= len(self._kept.popleft()[1].command)
            if not self._forgot:
                log.warning("more is confirmed in a minute than is kept", bytes=KEPT_BYTES)
                self._forgot = True
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch(), name="watch the primary")

    # One call

    async def _make(self, connection: ToPrimary, *calls: Call) -> list[Any]:
        """Return the answers to calls; raises NotReplicatedError where too few replicas have them.

        One write behind all of them does: a replica has it only after what was before it.
        """
        commands = [call.command for call in calls]
        commands.append(packed("EVALSHA", self._touch.sha, 1, calls[-1].touch))
        commands.append(packed("WAIT", REPLICAS, int(REPLICA_TIMEOUT * 1000)))
        answers = await self._ask(connection, *commands)
        if any(isinstance(answer, NoScriptError) for answer in answers):
            scripts = {call.script for call in calls} - {""} | {str(self._touch.script)}
            await self._ask(connection, *(packed("SCRIPT", "LOAD", it) for it in scripts))
            answers = await self._ask(connection, *commands)
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise answer
        *outcomes, _, replicas = answers
        if replicas < REPLICAS:
            # Where it cannot replicate, it may not be the primary any more: the Sentinels know.
            await connection.disconnect(nowait=True)
            raise NotReplicatedError(f"{replicas} of {REPLICAS} replicas have it")
        return outcomes

    async def _ask(self, connection: ToPrimary, *commands: bytes) -> list[Any]:
        """Send commands together; return their answers, of which some may be ResponseErrors."""
        answers: list[Any] = []
        try:
            async with asyncio.timeout(self._timeout):
                await connection.send_packed_command(b"".join(commands), check_health=False)
                for _ in commands:
                    try:
                        answers.append(await connection.read_response())
                    except ResponseError as error:
                        answers.append(error)
        except BaseException:
            # What is still to come on this connection would answer another call.
            await connection.disconnect(nowait=True)
            raise
        return answers
