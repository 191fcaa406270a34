"""What FastStream offers a handler works over our loop, and none of it touches the guarantees."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any, TypeVar

import pytest
from faststream import BaseMiddleware, Context, Depends
from faststream.exceptions import (
    AckMessage,
    FeatureNotSupportedException,
    NackMessage,
    RejectMessage,
    SetupError,
    StopConsume,
)
from faststream.redis.annotations import RedisStreamMessage
from pydantic import BaseModel

from shared.streams import (
    ConsumerStoppedError,
    Delivery,
    EventRouter,
    EventSubscriber,
    Handler,
    Limits,
    MalformedError,
    StreamBroker,
    TryLaterError,
)
from tests.conditions import eventually
from tests.servers import RedisServer
from tests.shared.members import FAST, pending
from tests.shared.said import SAID, Said, said

M = TypeVar("M", bound=BaseModel)
Start = Callable[[StreamBroker], Awaitable[StreamBroker]]


@pytest.fixture
async def start(broker: StreamBroker, redis_server: RedisServer) -> AsyncIterator[Start]:
    """Return a function that connects a broker and starts what is registered with it."""
    started: list[StreamBroker] = []

    async def begin(member: StreamBroker) -> StreamBroker:
        await member.connect(redis_server.url, source="/tests")
        await member.start_consumers()
        started.append(member)
        return member

    yield begin
    for member in started:
        await member.close()


def buried(server: RedisServer) -> list[str]:
    """Return the reasons of the dead letters."""
    return [fields[b"reason"].decode() for _, fields in server.client().xrange(SAID.dead_letters)]


class Around(BaseMiddleware):
    """A middleware that notes what passes through it."""

    passed: list[str] = []  # noqa: RUF012 — FastStream makes one for each message

    async def consume_scope(self, call_next: Any, msg: Any) -> Any:
        """Note the event's id, and let it on."""
        self.passed.append(msg.message_id)
        return await call_next(msg)


async def attempt_of(delivery: Delivery) -> int:
    """Return which attempt this is; a dependency that depends on the delivery."""
    return delivery.attempt


async def test_a_handler_is_given_what_it_asks_for(
    broker: StreamBroker, redis_server: RedisServer, start: Start
) -> None:
    """Event, delivery, message, context and dependencies."""
    member, given = StreamBroker(), []

    @member.subscribe_event(SAID, group="g")
    async def handle(
        event: Said,
        attempt: Annotated[int, Depends(attempt_of)],
        message: RedisStreamMessage,
        delivery: Delivery,
        theirs: Annotated[Any, Context("broker")],
    ) -> None:
        count = await message.get_delivery_count()
        given.append((attempt, message.message_id, event, delivery, theirs is member, count))

    published = await broker.publish_event(SAID, said(7), event_id="seven")
    await start(member)
    await eventually(lambda: bool(given))
    ((attempt, message_id, event, delivery, is_ours, count),) = given
    assert (attempt, message_id, event, is_ours, count) == (1, "seven", said(7), True, 1)
    assert (delivery.event_id, delivery.source) == ("seven", "/tests")
    assert (delivery.stream, delivery.entry_id) == ("said", published.entry_id)
    await eventually(lambda: pending(redis_server) == 0)


async def test_the_delivery_is_that_of_the_handler_that_asks(
    broker: StreamBroker, start: Start
) -> None:
    """Handlers that run at the same time are each told of their own entry."""
    member, seen = StreamBroker(), []

    @member.subscribe_event(SAID, group="g")
    async def handle(
        event: Said, attempt: Annotated[int, Depends(attempt_of)], it: Delivery
    ) -> None:
        await asyncio.sleep(0.001)
        seen.append((event.number, it.event_id, attempt))

    await broker.publish_events(SAID, [(str(n), said(n)) for n in range(50)])
    await start(member)
    await eventually(lambda: len(seen) == 50)
    assert sorted(seen) == [(n, str(n), 1) for n in range(50)]


@pytest.mark.parametrize("kind", ["parts", "dict", "plain function"])
async def test_a_handler_takes_the_event_in_its_own_form(
    kind: str, broker: StreamBroker, redis_server: RedisServer, start: Start
) -> None:
    """Its fields as parameters, a dict, or the model in a function that is not asynchronous."""
    member, seen = StreamBroker(), []

    async def parts(number: int, text: str, delivery: Delivery) -> None:
        seen.append((number, text, delivery.attempt))

    async def as_dict(body: dict[str, Any], delivery: Delivery) -> None:
        seen.append((body["number"], body["text"], delivery.attempt))

    def plain(event: Said) -> None:
        seen.append((event.number, event.text, 1))

    handlers: dict[str, Any] = {"parts": parts, "dict": as_dict, "plain function": plain}
    member.subscribe_event(SAID, group="g")(handlers[kind])
    await broker.publish_event(SAID, said(7, "hello"))
    await start(member)
    await eventually(lambda: bool(seen))
    assert seen == [(7, "hello", 1)]
    await eventually(lambda: pending(redis_server) == 0)


async def test_middlewares_are_called_and_may_raise(
    broker: StreamBroker, redis_server: RedisServer, start: Start
) -> None:
    """Each attempt passes through them; what one raises is the attempt's failure."""
    member, seen = StreamBroker(), []

    class Doubtful(Around):
        async def consume_scope(self, call_next: Any, msg: Any) -> Any:
            await super().consume_scope(call_next, msg)
            if len(self.passed) == 1:
                raise ValueError("not yet")

    Doubtful.passed = []
    member.add_middleware(Doubtful)

    @member.subscribe_event(SAID, group="g", limits=FAST)
    async def handle(event: Said, delivery: Delivery) -> None:
        seen.append((event.number, delivery.attempt))

    await broker.publish_event(SAID, said(7), event_id="seven")
    await start(member)
    await eventually(lambda: len(seen) == 2)
    assert seen == [(7, 1), (7, 2)]
    assert Doubtful.passed == ["seven", "seven"]
    await eventually(lambda: pending(redis_server) == 0)


VERDICTS: dict[str, tuple[type[Exception], int, list[str]]] = {
    "ack": (AckMessage, 1, []),
    "reject": (RejectMessage, 1, ["RejectMessage: Message was rejected"]),
    "nack": (NackMessage, FAST.deliveries, ["NackMessage: Message was nacked"]),
}
"""How each is raised, how often the handler is called then, and what the dead letters say."""


@pytest.mark.parametrize("how", ["by raising", "by the message"])
@pytest.mark.parametrize("verdict", VERDICTS)
async def test_a_verdict_is_carried_out(
    how: str, verdict: str, broker: StreamBroker, redis_server: RedisServer, start: Start
) -> None:
    """Acknowledged; or a dead letter at once; or tried again for as often as there are tries."""
    member, calls = StreamBroker(), []
    raised, attempts, reasons = VERDICTS[verdict]

    async def raises(event: Said, delivery: Delivery) -> None:
        calls.append(delivery.attempt)
        raise raised

    async def notes(event: Said, delivery: Delivery, message: RedisStreamMessage) -> None:
        calls.append(delivery.attempt)
        await getattr(message, verdict)()
        if verdict == "ack":
            raise ValueError("after the verdict")

    handler: Any = raises if how == "by raising" else notes
    member.subscribe_event(SAID, group="g", limits=FAST)(handler)
    await broker.publish_event(SAID, said(7))
    await start(member)
    await eventually(lambda: pending(redis_server) == 0 and len(calls) == attempts)
    assert buried(redis_server) == reasons
    assert calls == [*range(1, attempts + 1)]


@pytest.mark.usefixtures("way")
async def test_a_dependency_that_is_away_costs_no_delivery(
    broker: StreamBroker, redis_server: RedisServer, start: Start
) -> None:
    """`TryLaterError` of a dependency is that of the handler."""
    member, left, seen = StreamBroker(), [5], []

    async def session() -> str:
        if left[0]:
            left[0] -= 1
            raise TryLaterError("the database is away")
        return "session"

    @member.subscribe_event(SAID, group="g", limits=FAST)
    async def handle(
        event: Said, delivery: Delivery, opened: Annotated[str, Depends(session)]
    ) -> None:
        seen.append((opened, delivery.attempt))

    await broker.publish_event(SAID, said(7))
    await start(member)
    await eventually(lambda: bool(seen))
    assert seen == [("session", 1)]
    assert buried(redis_server) == []


async def test_a_parser_that_knows_better_buries_at_once(
    broker: StreamBroker, redis_server: RedisServer, start: Start
) -> None:
    """MalformedError of a parser or decoder is no failure of the handler: nobody tries again."""
    member, calls = StreamBroker(), []

    async def decoder(message: Any, original: Any) -> Any:
        calls.append(message.message_id)
        raise MalformedError("not for us")

    @member.subscribe_event(SAID, group="g", limits=FAST, decoder=decoder)
    async def handle(event: Said) -> None:
        raise AssertionError

    await broker.publish_event(SAID, said(7), event_id="seven")
    await start(member)
    await eventually(lambda: bool(buried(redis_server)))
    assert buried(redis_server) == ["MalformedError: not for us"]
    assert calls == ["seven"]


@pytest.mark.usefixtures("way")
async def test_a_handler_may_end_its_consumer(
    broker: StreamBroker, redis_server: RedisServer, start: Start
) -> None:
    """StopConsume leaves the entry to another member, and the process hears of it."""
    member, seen = StreamBroker(), []

    @member.subscribe_event(SAID, group="g", limits=FAST)
    async def ends(event: Said) -> None:
        raise StopConsume

    await start(member)
    stopped = asyncio.create_task(member.consumers_stopped())
    await broker.publish_event(SAID, said(7))
    with pytest.raises(ConsumerStoppedError):
        await asyncio.wait_for(stopped, 20)
    assert not member.consumers[0].running

    other = StreamBroker()

    @other.subscribe_event(SAID, group="g", limits=FAST)
    async def handle(event: Said) -> None:
        seen.append(event.number)

    await start(other)
    await eventually(lambda: seen == [7])
    await eventually(lambda: pending(redis_server) == 0)


async def test_a_router_is_included(
    broker: StreamBroker, redis_server: RedisServer, start: Start
) -> None:
    """Its handlers are the broker's, with the middlewares of both."""
    router, member, seen = EventRouter(), StreamBroker(), []
    Around.passed = []
    router.add_middleware(Around)

    @router.subscribe_event(SAID, group="g", limits=FAST)
    async def handle(event: Said) -> None:
        seen.append(event.number)

    member.include_router(router)
    await broker.publish_event(SAID, said(7), event_id="seven")
    await start(member)
    await eventually(lambda: seen == [7])
    assert Around.passed == ["seven"]
    assert [consumer.group for consumer in member.consumers] == ["g"]


async def test_a_prefix_is_refused(broker: StreamBroker, redis_server: RedisServer) -> None:
    """A stream has the name that the specification gives it."""
    router, member = EventRouter(prefix="other_"), StreamBroker()
    router.subscribe_event(SAID, group="g")(_nothing)
    member.include_router(router)
    await member.connect(redis_server.url)
    with pytest.raises(SetupError, match="said"):
        await member.start_consumers()
    await member.close()


async def _nothing(event: Said) -> None:
    """Handle nothing."""


async def test_an_entry_is_only_given_to_a_handler() -> None:
    """FastStream's other ways to read would leave it pending for ever."""
    subscriber: EventSubscriber[Any] = StreamBroker().subscribe_event(SAID, group="g")
    with pytest.raises(FeatureNotSupportedException):
        await subscriber.get_one()
    with pytest.raises(FeatureNotSupportedException):
        aiter(subscriber)


def made_by_a_decorator() -> Handler[M]:
    """Return a handler of whatever event it is registered for."""

    async def handle(event: M, delivery: Delivery) -> None:
        del event, delivery

    return handle


async def _pass_on(message: Any, original: Any) -> Any:
    return await original(message)


async def _every(_: Any) -> bool:
    return True


@pytest.mark.parametrize(
    "around",
    [
        {"dependencies": [Depends(_every)]},
        {"parser": _pass_on},
        {"decoder": _pass_on},
        {"filter": _every},
    ],
    ids=lambda around: next(iter(around)),
)
def test_what_has_something_around_it_is_called_by_faststream(
    around: dict[str, Any],
) -> None:
    """Or that would be left out."""
    subscriber = StreamBroker().subscribe_event(SAID, group="g", limits=Limits())
    subscriber(_nothing, **around)
    subscriber._build_fastdepends_model()
    assert subscriber._direct is None


@pytest.mark.parametrize(
    ("handler", "is_direct"),
    [
        pytest.param(_nothing, True, id="event"),
        pytest.param(made_by_a_decorator(), True, id="event of any kind, and delivery"),
        pytest.param(attempt_of, False, id="no event"),
    ],
)
def test_what_needs_nothing_is_called_by_our_loop(handler: Any, *, is_direct: bool) -> None:
    """One pays for FastStream where one uses it."""
    subscriber = StreamBroker().subscribe_event(SAID, group="g", limits=Limits())
    subscriber(handler)
    subscriber._build_fastdepends_model()
    assert (subscriber._direct is not None) is is_direct
