"""A handler is warned of, or ended, for its own time alone; everything else is left as it is."""

import asyncio
import gc
import weakref
from collections.abc import Callable
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from shared.streams import publishing
from shared.telegram.updates import watch
from shared.telegram.updates.watch import DELAY_NOTICE_AFTER, WARN_AT, Handling, TooSlowError, Watch

pytestmark = pytest.mark.timeout(20)  # a handler that is not ended has no end
LIMIT = 8.0
WARNED = LIMIT * WARN_AT
TICK = 0.005


class Clock:
    """What the watch takes for the time."""

    def __init__(self) -> None:
        self.began = self.now = monotonic()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that stands still until it is set."""
    clock = Clock()
    monkeypatch.setattr(watch, "monotonic", clock)
    return clock


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """A watch that looks often, and gives a handler six looks."""
    monkeypatch.setattr(watch, "EVERY", TICK)
    return Watch(6 * TICK)


async def nothing() -> None:
    """Tell nobody."""


def handling(by: Watch, tell: Callable[[], Any] = nothing) -> Handling:
    """Return an update in the hands of a handler."""
    return Handling(by, "42:1", tell, SimpleNamespace(callback=endless))


async def endless() -> None:
    """Do as a handler without end does."""
    await asyncio.Event().wait()


async def end(update: Handling, at: float) -> None:
    """Have a handler without end looked at, once it is under way."""
    async with update:
        asyncio.get_running_loop().call_soon(update.look, at)
        await endless()


async def test_a_slow_handler_is_warned_of_once_and_ended(clock: Clock) -> None:
    """After its share of the time, and at its end; whoever called it is not cancelled."""
    update = handling(Watch(LIMIT))

    async def look() -> None:
        for after in (WARNED - 0.1, WARNED + 0.1432, LIMIT - 0.1):
            update.look(clock.began + after)
        await end(update, clock.began + LIMIT + 0.1)

    with capture_logs() as lines, pytest.raises(TooSlowError, match=r"^endless took longer than 8"):
        await look()
    warning = {**lines[0], "event": "", "log_level": ""}
    said = {"handler": "endless", "event_id": "42:1", "seconds": 2.1, "ends_after": LIMIT}
    assert (len(lines), warning) == (1, {**said, "event": "", "log_level": ""})
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_the_time_in_which_redis_has_the_event_is_not_the_handlers(clock: Clock) -> None:
    """From the first publish that waits until none does; its sender is told once."""
    update, delays = handling(Watch(LIMIT), nothing), []

    async def tell() -> None:
        delays.append(clock.now)

    update.tell_of_delay = tell
    with capture_logs() as lines:
        async with update:
            observer = publishing.get()
            assert observer is not None
            for after, change in ((0.0, 1), (2.0, 1), (3.0, -1)):
                clock.now = clock.began + after
                observer(change)
            for later, count in ((-0.1, 0), (0.1, 1), (LIMIT, 1)):
                update.look(clock.began + DELAY_NOTICE_AFTER + later)
                await asyncio.sleep(0)
                assert len(delays) == count
            clock.now = clock.began + 20
            observer(-1)
            update.look(clock.now + WARNED - 0.1)
            assert lines == []
            update.look(clock.now + WARNED + 0.1)
            assert [line["seconds"] for line in lines] == [WARNED + 0.1]
    assert publishing.get() is None


async def test_a_stop_is_no_slow_handler(clock: Clock) -> None:
    """What somebody else cancels is cancelled, in its time and beyond it."""
    for after in (0.0, LIMIT):
        task = asyncio.create_task(end(handling(Watch(LIMIT)), clock.began + after + 0.1))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("error", [None, ValueError])
async def test_a_handler_that_ends_otherwise_keeps_its_own_end(
    clock: Clock, error: type[Exception] | None
) -> None:
    """It has made something of its cancellation: that is told, and not that it was slow."""

    async def handle() -> str:
        async with handling(Watch(LIMIT)) as update:
            asyncio.get_running_loop().call_soon(update.look, clock.began + LIMIT + 0.1)
            try:
                await endless()
            except asyncio.CancelledError:
                if error is not None:
                    raise error from None
        return "ended"

    outcomes = await asyncio.gather(handle(), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [error or str]


async def test_all_are_looked_at_while_there_are_any(
    ticking: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One look sees to all of them, also after a time without any; each is ended once."""
    looks: list[Handling] = []
    look = Handling.look

    def count(update: Handling, now: float) -> None:
        looks.append(update)
        look(update, now)

    monkeypatch.setattr(Handling, "look", count)
    cleaned = 0

    async def handle() -> None:
        nonlocal cleaned
        try:
            async with handling(ticking):
                try:
                    await endless()
                finally:
                    await asyncio.sleep(4 * TICK)
                    cleaned += 1
        finally:
            looks.append(ended)

    ended = handling(ticking)
    for _ in range(2):
        began = monotonic()
        outcomes = await asyncio.gather(*(handle() for _ in range(5)), return_exceptions=True)
        most = (monotonic() - began) / TICK + 1
        assert {type(outcome) for outcome in outcomes} == {TooSlowError}
        assert max(looks.count(update) for update in set(looks) - {ended}) <= most
        looks.clear()
        await asyncio.sleep(4 * TICK)
        assert looks == []
    assert cleaned == 10


async def test_what_is_over_is_not_ended(ticking: Watch) -> None:
    """Its task goes on with something else."""
    async with handling(ticking):
        pass
    await asyncio.sleep(12 * TICK)


async def test_what_nobody_waits_for_is_kept_until_it_is_done() -> None:
    """A task that nobody holds would be gone with the next garbage; one that is done goes."""
    there: list[weakref.ref[Any]] = []

    async def tell() -> None:
        waiting = asyncio.get_running_loop().create_future()
        there.extend((weakref.ref(waiting), weakref.ref(asyncio.current_task())))
        await waiting

    looking = Watch(LIMIT)
    looking.start(tell())
    await asyncio.sleep(0)
    gc.collect()
    waiting, task = (each() for each in there)
    assert waiting is not None
    assert task is not None
    waiting.set_result(None)
    await task
    await asyncio.sleep(0)
    del waiting, task
    gc.collect()
    assert [each() for each in there] == [None, None]
