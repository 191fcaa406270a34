"""Trying again: later each time, told once, given up when cancelled."""

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from shared.process import Backoff, Outage, check_cancelled, describe, jitter, until_it_works


def test_delays_double_up_to_the_longest_and_start_again_after_a_success() -> None:
    """Each is shortened by up to half, so no two processes knock at the same time."""
    backoff = Backoff(1.0, 8.0)
    for _ in range(50):
        delays = [backoff.next() for _ in range(6)]
        for delay, whole in zip(delays, [1, 2, 4, 8, 8, 8], strict=True):
            assert whole / 2 <= delay <= whole
        assert len(set(delays)) == len(delays)
        backoff.reset()


def test_a_thousand_failures_are_no_overflow() -> None:
    """The delay of a long outage is the longest."""
    backoff = Backoff(0.1, 5.0)
    assert max(backoff.next() for _ in range(1000)) <= 5.0
    assert backoff.failures == 1000


def test_processes_that_share_work_take_turns() -> None:
    """A factor around 1, another one each time."""
    factors = [jitter() for _ in range(100)]
    assert all(0.8 <= factor <= 1.2 for factor in factors)
    assert any(first != second for first, second in pairwise(factors))


def test_an_outage_is_told_once_a_reason_and_once_when_it_ends() -> None:
    """Not once a try; without an outage nothing is told."""
    outage = Outage("it is away", "it is back", purpose="test")
    with capture_logs() as logs:
        outage.worked()
        for reason in ("first", "first", "second", "second"):
            outage.failed(OSError(reason), started=1.0)
            assert outage.lasts
        outage.worked()
        outage.worked()
        outage.failed("in words")
    assert not outage.seconds > 1.0
    assert [(line["event"], line.get("reason")) for line in logs] == [
        ("it is away", "OSError: first"),
        ("it is away", "OSError: second"),
        ("it is back", None),
        ("it is away", "in words"),
    ]
    assert logs[2]["seconds"] > 0
    assert all(line["purpose"] == "test" for line in logs)


def failing_times(times: int, error: Exception) -> Callable[[], asyncio.Future[str]]:
    """Return a call that fails so many times, then answers."""
    left = [error] * times

    def call() -> "asyncio.Future[str]":
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        if left:
            answer.set_exception(left.pop())
        else:
            answer.set_result("answer")
        return answer

    return call


async def test_a_call_is_made_until_it_works() -> None:
    """Its answer is returned, and the outage is over."""
    outage = Outage("away", "back")
    with capture_logs() as logs:
        answer = await until_it_works(
            failing_times(3, OSError("no")), outage, passes, backoff=Backoff(0.001, 0.002)
        )
    assert answer == "answer"
    assert [line["event"] for line in logs] == ["away", "back"]
    assert not outage.lasts


async def test_an_error_that_will_not_pass_is_raised() -> None:
    """At once: no waiting mends it."""
    with pytest.raises(ValueError, match="for good"):
        await until_it_works(
            failing_times(1, ValueError("for good")), Outage("away", "back"), passes
        )


async def test_who_asks_for_a_longer_wait_gets_it() -> None:
    """Telegram's `retry_after` is one."""
    began = asyncio.get_running_loop().time()
    await until_it_works(
        failing_times(1, OSError("busy")),
        Outage("away", "back"),
        passes,
        backoff=Backoff(0.001, 0.002),
        asked=lambda _: 0.2,
    )
    assert asyncio.get_running_loop().time() - began >= 0.19


async def test_a_cancellation_that_the_call_has_lost_is_noticed() -> None:
    """As `asyncio.wait_for` of Python 3.11 can: without this the process would never end."""
    calls = 0

    async def call() -> None:
        nonlocal calls
        calls += 1
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise OSError("what came instead") from None

    trying = asyncio.create_task(until_it_works(call, Outage("away", "back"), passes))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    trying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(trying, 5)
    assert calls == 1
    check_cancelled()  # this task was not


def passes(error: Exception) -> bool:
    """Say whether an error of these tests will pass."""
    return isinstance(error, OSError)


def test_an_error_is_one_line_without_a_statement_and_its_values() -> None:
    """SQLAlchemy's own text holds both."""
    wrapped = OperationalError("INSERT INTO t", {"text": "hush"}, OSError("the disk is full\nmore"))
    assert describe(wrapped) == "OSError: the disk is full"
    assert describe(TimeoutError()) == "TimeoutError"
