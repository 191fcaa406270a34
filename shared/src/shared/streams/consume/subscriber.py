"""Our consumer as FastStream's subscriber: its reading and its guarantees are our own.

FastStream finds in it what it finds in one of its own: parameters to fill, middlewares to call, a
specification, a handler to test. Reading, trying again, claiming and dead letters are ours.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, Generic, NoReturn, ParamSpec, TypeVar

import structlog
from faststream._internal.endpoint.call_wrapper import HandlerCallWrapper
from faststream._internal.endpoint.subscriber import SubscriberUsecase
from faststream._internal.endpoint.subscriber.call_item import CallsCollection
from faststream.exceptions import (
    FeatureNotSupportedException,
    NackMessage,
    RejectMessage,
    SetupError,
)
from faststream.message import AckStatus
from faststream.middlewares import AckPolicy
from faststream.redis import StreamSub
from faststream.redis.subscriber.config import (
    RedisSubscriberConfig,
    RedisSubscriberSpecificationConfig,
)
from faststream.redis.subscriber.specification import StreamSubscriberSpecification
from faststream.redis.subscriber.usecases import StreamSubscriber
from pydantic import BaseModel

from shared.process import describe
from shared.streams.consume import calling, messages
from shared.streams.consume.delivery import DeliveryInfo
from shared.streams.consume.group import Entry, Group
from shared.streams.consume.hand import Hand, Handle
from shared.streams.consume.limits import Limits
from shared.streams.consume.loop import Loop
from shared.streams.consume.state import ConsumerState
from shared.streams.event.envelope import EventStream, Received

if TYPE_CHECKING:
    from faststream.redis.configs import RedisBrokerConfig

    from shared.streams.consume.turns import Turns

log = structlog.get_logger(__name__)

M = TypeVar("M", bound=BaseModel)
P = ParamSpec("P")
R = TypeVar("R")

STOP_GRACE = 8.0
"""Seconds that running handlers get to finish; less than the stack's shortest grace period."""


class EventSubscriber(StreamSubscriber, Generic[M]):
    """Handles the entries of one stream as a member of one group, until it is stopped.

    As a decorator it takes a handler as FastStream's subscribers do.
    """

    def __init__(
        self, stream: EventStream[M], group: str, limits: Limits, config: "RedisBrokerConfig"
    ) -> None:
        self.stream = stream
        self.group = group
        self._limits = limits
        self._task: asyncio.Task[None] | None = None
        self._loop: Loop | None = None
        self._hand: Hand[M] | None = None
        self._group: Group | None = None
        self._pool: Any = None
        self._direct: calling.Direct | None = None
        self._takes_event = True
        self.ended_by_itself = False
        source = StreamSub(stream.name, group=group, consumer=group)
        calls: CallsCollection[Any] = CallsCollection()
        super().__init__(
            RedisSubscriberConfig(
                stream_sub=source, no_reply=True, _outer_config=config, _ack_policy=AckPolicy.MANUAL
            ),
            StreamSubscriberSpecification(
                config,
                RedisSubscriberSpecificationConfig(title_=None, description_=None),
                calls,
                stream_sub=source,
            ),
            calls,
        )
        self._parser = partial(messages.parse, stream, group)
        self._decoder = self._decode

    def __call__(  # type: ignore[override]  # held to the stream's model, which theirs cannot know
        self, func: Callable[Concatenate[M, P], R], **options: Any
    ) -> HandlerCallWrapper[Concatenate[M, P], R]:
        """Register a handler, with the options that FastStream's decorators take.

        The event comes first. FastStream can also give its fields, or a dict, or other parameters
        before it; the types do not know of that.
        """
        return super().__call__(func, **options)

    # What FastStream asks of a subscriber

    @property
    def stream_sub(self) -> StreamSub[Any]:
        """Return the stream as FastStream has it; theirs is a deep copy for every message."""
        return self._stream_sub

    def get_log_context(self, message: Any) -> dict[str, str]:
        """Return what FastStream logs of a message."""
        return self.build_log_context(message, self.stream.name)

    def _build_fastdepends_model(self) -> None:
        """Set up the handlers, and look whether our loop can call them by itself."""
        for item in self.calls:
            calling.name_model(item, self.stream.model)
        super()._build_fastdepends_model()
        outer: Any = self._outer_config
        self._takes_event = all(calling.takes_event(item, self.stream.model) for item in self.calls)
        around = (
            *(self._broker_middlewares, outer.broker_dependencies, outer.broker_parser),
            *(outer.broker_decoder, outer.broker_codec, any(self._call_options)),
        )
        simple = len(self.calls) == 1 and not any(around)
        self._direct = calling.direct(self.calls[0], self.stream.model) if simple else None

    async def _decode(self, message: messages.EventMessage) -> Any:
        """Return the event; as a dict for handlers that take parts of it, or another type."""
        return message.event if self._takes_event else dict(message.event)

    async def get_one(self, **_: Any) -> NoReturn:
        """Refuse: nothing would see such an entry through."""
        raise FeatureNotSupportedException("an event is given to a handler, and to nothing else")

    def __aiter__(self) -> AsyncIterator[Any]:
        """Refuse: nothing would see such an entry through."""
        raise FeatureNotSupportedException("an event is given to a handler, and to nothing else")

    async def start(self) -> None:
        """Begin to read; waits for Redis by itself.

        Raises:
            SetupError: a router has put a prefix before the stream's name.
        """
        if self._outer_config.prefix:
            raise SetupError(f"the stream {self.stream.name} has its name from the specification")
        if not self.calls or (self._task is not None and not self._task.done()):
            return
        await SubscriberUsecase.start(self)  # those between would read by themselves
        member = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._group = Group(self._client, self.stream.name, self.group, member)
        handle = _directly(self._direct) if self._direct else self._through_faststream
        self._hand = Hand(self._group, self.stream, handle, self._limits, self._turns)
        self._loop = Loop(self._group, self.stream.name, self._hand, self._limits)
        self.ended_by_itself = False
        self._pool = self._client.connection_pool
        self._pool.max_connections += 1  # a read that waits for entries holds one of its own
        self._post_start()
        self._task = asyncio.create_task(self._loop.run(), name=f"consume {self.stream.name}")
        self._task.add_done_callback(self._ended)

    async def stop(self, grace: float = STOP_GRACE) -> None:
        """Read no more, let running handlers finish for `grace` seconds, hand over the rest."""
        if self._task is None or self._loop is None:
            return
        task, self._task = self._task, None
        self._loop.stopping.set()
        with suppress(asyncio.CancelledError):
            await asyncio.wait({task}, timeout=grace)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # What our loop asks of it

    @property
    def _turns(self) -> "Turns":
        turns: Turns = self._outer_config.extra_context["broker"].turns
        return turns

    async def _through_faststream(
        self, entry: Entry, received: Received[M], delivery: DeliveryInfo
    ) -> None:
        """Let FastStream call the handler, and carry out the verdict that it may have noted."""
        raw = messages.hand_over(entry, received, delivery)
        try:
            await self.process_message(raw)
        except Exception as error:
            if _verdict(raw) is None:
                raise
            log.warning("raised after a verdict", entry=entry.id, reason=describe(error))
        match _verdict(raw):
            case AckStatus.NACKED:
                raise NackMessage
            case AckStatus.REJECTED:
                raise RejectMessage

    # Its state

    @property
    def task(self) -> "asyncio.Task[None] | None":
        """Return what ends when it does; None where it was not started, or was stopped."""
        return self._task

    @property
    def in_hand(self) -> int | None:
        """Return how many entries it has taken and not finished with; None before it is started."""
        return None if self._hand is None else len(self._hand)

    async def state(self) -> ConsumerState:
        """Return the state; raises RedisError where Redis does not tell."""
        if self._group is None:
            return ConsumerState(self.stream.name, self.group, self.running, None, 0, None)
        state = await self._group.state()
        return ConsumerState(
            stream=self.stream.name,
            group=self.group,
            running=self.running,
            lag=state.lag,
            pending=state.pending,
            oldest_pending_seconds=state.oldest_pending_seconds,
            lag_seconds=state.lag_seconds,
        )

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """Say that it reads no more, and have an application that it runs in end as well."""
        self._pool.max_connections -= 1
        self.running = False
        if self._task is not task:
            return  # it was told to
        self.ended_by_itself = True
        if app := self._outer_config.context.get("app"):
            app.exit()


def _directly(call: calling.Direct) -> Handle[Any]:
    """Return what calls a handler by itself."""

    async def handle(_: Entry, received: Received[Any], delivery: DeliveryInfo) -> None:
        await call(received.event, delivery)

    return handle


def _verdict(raw: messages.EventEntry) -> AckStatus | None:
    """Return what a handler has noted on its message; None for nothing."""
    message = raw.get("message")
    return message.committed if message else None
