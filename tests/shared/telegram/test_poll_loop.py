"""The loop that polls, in this process: when it asks, with what, and what ends it."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from time import monotonic, sleep, time
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs
from telegram import Update
from telegram.error import InvalidToken
from telegram.ext import TypeHandler

from shared.generated.events import NotConnectedError, telegram_update
from shared.keys import lease_of
from shared.streams.lease import LENGTH
from shared.telegram import Bot, build_application
from shared.telegram.api.request import AiohttpRequest
from shared.telegram.broker import close_broker, connect_broker, polling_lease
from shared.telegram.updates import hand, polling
from shared.telegram.updates.parking import Parked
from shared.telegram.updates.polling import REPEAT_AFTER, Poller
from shared.telegram.updates.state import LONG_POLL, PollState
from shared.telegram.updates.window import CAPACITY
from tests import odd_telegram
from tests.odd_telegram import OddTelegram, as_body
from tests.servers import RedisServer
from tests.shared.telegram.a_bot import settings_for

SOON = 15.0
"""Seconds within which anything here happens."""
PARKED = "{telegram_update}:parked:42"


def refusal(code: int, description: str, **parameters: int) -> tuple[int, bytes]:
    """Return an answer with which Telegram refuses a call."""
    answer = {"ok": False, "error_code": code, "description": description, "parameters": parameters}
    return code, json.dumps(answer).encode()


OF_WEBHOOK = refusal(409, "Conflict: can't use getUpdates method while webhook is active")
OF_ANOTHER = refusal(409, "Conflict: terminated by other getUpdates request")
FAULT = refusal(500, "Internal Server Error")


class TimedTelegram(OddTelegram):
    """Notes when each getUpdates came."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    async def _answer(self, request: web.Request) -> web.Response:
        if request.match_info["method"] == "getUpdates":
            self.times.append(monotonic())
        return await super()._answer(request)

    @property
    def polls(self) -> list[tuple[int, int, int]]:
        """Return offset, limit and timeout of each getUpdates."""
        names = ("offset", "limit", "timeout")
        calls = ([int(call[name]) for name in names] for call in self.called("getUpdates"))
        return [(offset, limit, wait) for offset, limit, wait in calls]

    @property
    def pauses(self) -> list[float]:
        """Return the seconds between one getUpdates and the next."""
        return [later - earlier for earlier, later in itertools.pairwise(self.times)]


class Loop:
    """A loop that polls, and the handler of what it fetches.

    Attributes:
        held: The ids of the updates that are not finished before they are let go.
        errors: What the handler raises, by the id of the update.
    """

    def __init__(self, bot: Bot[Any]) -> None:
        self.state = PollState()
        self.handled: list[int] = []
        self.held: dict[int, asyncio.Event] = {}
        self.errors: dict[int, Exception] = {}
        self.stop = asyncio.Event()
        self._bot = bot
        bot.add_handler(TypeHandler(Update, self._handle))

    async def _handle(self, update: Update, context: Any) -> None:
        if update.update_id in self.held:
            await self.held[update.update_id].wait()
        if update.update_id in self.errors:
            raise self.errors[update.update_id]
        self.handled.append(update.update_id)

    def hold(self, *numbers: int) -> None:
        """Have updates wait in their handler."""
        self.held |= {number: asyncio.Event() for number in numbers}

    async def start(self) -> None:
        """Begin to poll."""
        request = AiohttpRequest(1)
        await request.initialize()
        self.lease = await polling_lease(42)
        poller = Poller(self._bot, request, self.state, self.lease)
        self.task = asyncio.create_task(poller.run(self.stop))
        self.task.add_done_callback(lambda _: self._close.append(request.shutdown()))
        self._close: list[Awaitable[None]] = []

    async def end(self, last: int) -> None:
        """Stop it, and only then let the last update be finished; return when it has ended."""
        self.stop.set()
        await asyncio.sleep(0.02)
        self.held[last].set()
        await self.ended()

    async def ended(self) -> None:
        """Return when it has ended; raises what has ended it."""
        async with asyncio.timeout(SOON):
            await self.task

    async def until(self, look: Callable[[], object]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(SOON):
            while not look():
                assert not self.task.done()
                await asyncio.sleep(0.005)

    async def close(self) -> None:
        """End it, whatever it does."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await asyncio.sleep(0)
        for closing in self._close:
            await closing


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is parked, a stop waits for a tenth of a second, a fault for a hundredth."""
    monkeypatch.setattr(hand, "PARK_AFTER", 60.0)
    monkeypatch.setattr(polling, "STOP_GRACE", 0.1)
    monkeypatch.setattr(polling, "FIRST_BACKOFF", 0.01)
    monkeypatch.setattr(polling, "LAST_BACKOFF", 0.02)
    monkeypatch.setenv("PTB_TIMEDELTA", "true")


@pytest.fixture
def patient_telegram(monkeypatch: pytest.MonkeyPatch) -> None:
    """Telegram answers a getUpdates without updates after half a minute."""
    monkeypatch.setattr(odd_telegram, "LONGEST_POLL", 30.0)


@pytest.fixture
async def telegram() -> AsyncIterator[TimedTelegram]:
    """A Bot API of this test alone."""
    async with TimedTelegram() as telegram:
        yield telegram


@pytest.fixture
async def bot(telegram: OddTelegram, redis_server: RedisServer) -> AsyncIterator[Bot[Any]]:
    """A bot that is logged in and connected."""
    settings = settings_for(telegram.url, redis_server.url, messages_per_minute=0)
    await connect_broker(settings.redis_url, "a_bot")
    bot = build_application("a_bot", settings)
    await bot.initialize()
    yield bot
    await bot.lanes.close()
    await bot.outbox.close(0)
    await bot.shutdown()
    await close_broker()


@pytest.fixture
async def loop(bot: Bot[Any]) -> AsyncIterator[Loop]:
    """A loop that a test starts."""
    loop = Loop(bot)
    yield loop
    await loop.close()


def update(number: int) -> dict[str, Any]:
    """Return an update, each of another sender."""
    sender = {"id": number, "is_bot": False, "first_name": "Ada"}
    chat = {"id": number, "type": "private", "first_name": "Ada"}
    message = {"message_id": 1, "date": 1, "chat": chat, "from": sender, "text": "hello"}
    return {"update_id": number, "message": message}


async def test_a_stop_confirms_what_is_finished(
    loop: Loop, telegram: TimedTelegram, bot: Bot[Any]
) -> None:
    """It asks for nothing more; then the next bot may poll at once."""
    telegram.updates += [update(3), update(4)]
    loop.hold(4)
    await loop.start()
    await loop.until(lambda: loop.handled == [3])
    assert loop.state.active
    with capture_logs() as lines:
        await loop.end(4)
    assert telegram.polls[-1] == (5, 1, 0)
    assert {poll[1:] for poll in telegram.polls[:-1]} == {(CAPACITY, LONG_POLL)}
    assert (telegram.updates, loop.handled, lines) == ([], [3, 4], [])
    assert (loop.state.active, loop.lease.held) == (False, False)
    other = await polling_lease(42)
    await asyncio.wait_for(other.acquire(), 1)
    await other.release()


async def test_a_last_batch_that_is_not_confirmed_is_told(
    loop: Loop, telegram: TimedTelegram
) -> None:
    """Telegram repeats it to the next bot; this one ends."""
    telegram.updates.append(update(3))
    loop.hold(3)
    await loop.start()
    await loop.until(lambda: len(telegram.polls) > 1)
    with capture_logs() as lines:
        telegram.answer("getUpdates", FAULT)
        await loop.end(3)
    assert [line["event"] for line in lines] == [
        "last batch not confirmed; Telegram will repeat it"
    ]


@pytest.mark.usefixtures("patient_telegram")
async def test_a_stop_waits_for_no_update(
    loop: Loop, telegram: TimedTelegram, bot: Bot[Any]
) -> None:
    """The request that is under way is given up, and what it would have confirmed is confirmed."""
    telegram.updates.append(update(3))
    await loop.start()
    await loop.until(lambda: len(telegram.polls) == 2)
    assert "asked" in (bot.moments.of("42:3") or {})
    telegram.answer("getUpdates", as_body([]))
    loop.stop.set()
    began = monotonic()
    await loop.ended()
    assert monotonic() - began < SOON / 2
    assert telegram.polls == [(0, CAPACITY, LONG_POLL), (4, CAPACITY, LONG_POLL), (4, 1, 0)]


async def test_what_was_answered_is_confirmed(
    loop: Loop, telegram: TimedTelegram, bot: Bot[Any]
) -> None:
    """Who wants to know is told; after the empty answer numbers may begin anew."""
    telegram.updates.append(update(3))
    await loop.start()
    await loop.until(lambda: len(telegram.polls) >= 4)
    assert [offset for offset, _, _ in telegram.polls[:4]] == [0, 4, 0, 0]
    assert {"asked", "confirmed"} & (bot.moments.of("42:3") or {}).keys() == {"confirmed"}
    assert loop.state.last_success is not None
    assert (loop.state.failures, loop.state.failing) == (0, None)
    loop.stop.set()
    await loop.ended()
    assert {poll[1:] for poll in telegram.polls} == {(CAPACITY, LONG_POLL)}


async def test_the_same_offset_is_asked_with_after_half_a_second(
    loop: Loop, telegram: TimedTelegram
) -> None:
    """Another one at once: where the oldest is finished there may be more behind it."""
    telegram.updates += [update(3), update(4)]
    loop.hold(3, 4)
    await loop.start()
    await loop.until(lambda: len(telegram.polls) == 3)
    assert [offset for offset, _, _ in telegram.polls] == [0, 3, 3]
    first, second = telegram.pauses
    assert first < REPEAT_AFTER - 0.1
    assert second >= REPEAT_AFTER - 0.02
    for number in (3, 4):
        asked = len(telegram.polls)
        loop.held[number].set()
        await loop.until(lambda asked=asked: len(telegram.polls) > asked)  # type: ignore[misc]
        assert telegram.polls[-1][0] == number + 1
        assert telegram.pauses[-1] < REPEAT_AFTER - 0.1


async def test_nothing_is_asked_while_telegram_has_nothing_new_to_show(
    loop: Loop, telegram: TimedTelegram
) -> None:
    """A hundred are in hand; with the oldest finished there may be one more. A stop ends that."""
    numbers = range(3, 3 + CAPACITY)
    telegram.updates += map(update, numbers)
    loop.hold(*numbers)
    await loop.start()
    await loop.until(lambda: loop.state.last_success)
    await asyncio.sleep(REPEAT_AFTER + 0.2)
    assert [offset for offset, _, _ in telegram.polls] == [0]
    loop.held[3].set()
    await loop.until(lambda: len(telegram.polls) == 2)
    assert telegram.polls[1][0] == 4
    loop.held[5].set()
    telegram.updates.append(update(3 + CAPACITY))
    with capture_logs() as lines:
        loop.stop.set()
        await loop.ended()
    assert [line["event"] for line in lines] == [
        "stopped with updates unhandled; Telegram will repeat them"
    ]
    assert telegram.polls[-1] == (4, 1, 0)


async def test_what_is_slow_is_parked(
    loop: Loop, telegram: TimedTelegram, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is confirmed while its handler goes on."""
    monkeypatch.setattr(hand, "PARK_AFTER", 0.05)
    telegram.updates.append(update(3))
    loop.hold(3)
    await loop.start()
    await loop.until(lambda: not telegram.updates)
    assert (loop.handled, redis_server.client().hlen(PARKED)) == ([], 1)


async def test_a_webhook_is_removed(loop: Loop, telegram: TimedTelegram) -> None:
    """What pends stays; where that fails it is tried again, and another poller is none."""
    telegram.updates.append(update(3))
    telegram.answer("getUpdates", OF_ANOTHER, OF_WEBHOOK, OF_WEBHOOK)
    telegram.answer("deleteWebhook", FAULT)
    with capture_logs() as lines:
        await loop.start()
        await loop.until(lambda: loop.handled == [3])
    asked = [method for method, _ in telegram.calls if method != "getMe"]
    failed, removed = ["getUpdates"], ["getUpdates", "deleteWebhook"]
    assert asked[:6] == [*failed, *removed, *removed, "getUpdates"]
    assert {call["drop_pending_updates"] for call in telegram.called("deleteWebhook")} == {"false"}
    assert (loop.state.failures, loop.state.failing) == (2, None)
    said = [line["event"] for line in lines if "webhook" in line["event"]]
    assert said == ["webhook not removed", "webhook removed; this bot polls"]


async def test_what_has_no_number_is_kept_and_holds_up_nothing_else(
    loop: Loop, telegram: TimedTelegram, redis_server: RedisServer
) -> None:
    """An answer that has nothing else is a failed one: it would be asked for without a pause."""
    telegram.answer("getUpdates", as_body([None, 7]), as_body([None, update(3)]))
    await loop.start()
    await loop.until(lambda: loop.handled == [3])
    assert [offset for offset, _, _ in telegram.polls[:2]] == [0, 0]
    assert (loop.state.failures, loop.state.failing) == (1, None)
    assert redis_server.client().xlen(telegram_update.dead_letters) == 2


async def test_a_failed_poll_is_repeated_after_the_pause_that_telegram_asks_for(
    loop: Loop, telegram: TimedTelegram
) -> None:
    """And after its own, which is shorter, where none is asked for."""
    telegram.answer("getUpdates", refusal(429, "Too Many Requests", retry_after=1), FAULT)
    await loop.start()
    await loop.until(lambda: len(telegram.polls) == 3)
    first, second = telegram.pauses
    assert first >= 0.98
    assert 0.004 < second < 0.5


async def test_a_wrong_token_ends_it(loop: Loop, telegram: TimedTelegram) -> None:
    """The lease is given back, and nothing of it is left."""
    telegram.answer("getUpdates", refusal(401, "Unauthorized"))
    await loop.start()
    with pytest.raises(InvalidToken):
        await loop.ended()
    assert (loop.state.active, loop.lease.held) == (False, False)
    await asyncio.sleep(0)
    left = {task.get_name() for task in asyncio.all_tasks()}
    assert left.isdisjoint({"wait for stop", "getUpdates", "lose lease", "lease"})


@pytest.mark.usefixtures("patient_telegram")
async def test_what_no_update_is_to_blame_for_ends_it(
    loop: Loop, telegram: TimedTelegram, redis_server: RedisServer
) -> None:
    """Also while an answer of Telegram is waited for."""
    loop.errors[3] = NotConnectedError("the broker is closed")
    parked = Parked(update(3), time())
    redis_server.client().hset(PARKED, "3", parked.written())
    await loop.start()
    with pytest.raises(NotConnectedError):
        await loop.ended()


async def test_it_ends_as_well_where_nothing_is_asked(loop: Loop, telegram: TimedTelegram) -> None:
    """A hundred are in hand, and one of them has that effect."""
    numbers = range(3, 3 + CAPACITY)
    telegram.updates += map(update, numbers)
    loop.hold(*numbers)
    loop.errors[3] = NotConnectedError("the broker is closed")
    await loop.start()
    await loop.until(lambda: loop.state.last_success)
    loop.held[3].set()
    with pytest.raises(NotConnectedError):
        await loop.ended()


@pytest.mark.usefixtures("patient_telegram")
@pytest.mark.parametrize("in_hand", [(), (3,)], ids=["idle", "busy"])
async def test_without_the_lease_nothing_is_asked(
    loop: Loop, telegram: TimedTelegram, redis_server: RedisServer, in_hand: tuple[int, ...]
) -> None:
    """A request that is under way is given up; with the lease it is made again, from the start."""
    telegram.updates += map(update, in_hand)
    loop.hold(*in_hand)
    await loop.start()
    await loop.until(lambda: telegram.polls)
    key = lease_of("telegram_update", "42")
    redis_server.client().incr(f"{key}:token")
    redis_server.client().set(key, "another", px=1000)
    await loop.until(lambda: not loop.state.active)
    asked = len(telegram.polls)
    await asyncio.sleep(0.1)
    assert len(telegram.polls) == asked
    await loop.until(lambda: len(telegram.polls) > asked)
    assert loop.state.active
    assert telegram.polls[asked][0] == 0


async def test_after_standing_still_nothing_is_asked_without_the_lease(
    loop: Loop, telegram: TimedTelegram, redis_server: RedisServer
) -> None:
    """Somebody else polls by then, and this process has not noticed yet."""
    telegram.updates.append(update(3))
    loop.hold(3)
    await loop.start()
    await loop.until(lambda: len(telegram.polls) == 3)
    asked = len(telegram.polls)
    sleep(LENGTH)  # noqa: ASYNC251 - the whole process stands still
    redis_server.client().set(lease_of("telegram_update", "42"), "another", px=2000)
    await asyncio.sleep(REPEAT_AFTER)
    assert not loop.state.active
    assert len(telegram.polls) == asked
