"""Which updates a webhook was brought: handled once, and answered when they are finished."""

import asyncio
from time import monotonic
from typing import Any

import pytest

from shared.telegram.updates.receipts import REMEMBERED, Receipts


def update(update_id: int) -> dict[str, Any]:
    """Return an update with this id."""
    return {"update_id": update_id}


def taken(brought: Receipts, update_id: int) -> bool:
    """Tell whether an update is new."""
    return list(brought.take(update(update_id))) == [update(update_id)]


@pytest.fixture
def brought() -> Receipts:
    """Two updates in hand."""
    brought = Receipts()
    assert taken(brought, 5)
    assert taken(brought, 6)
    return brought


async def test_whoever_waits_for_an_update_learns_that_it_is_finished(brought: Receipts) -> None:
    """All of them, of that update alone; later it is known at once."""
    waiting = [asyncio.create_task(brought.finished(5)) for _ in range(2)]
    other = asyncio.create_task(brought.finished(6))
    await asyncio.sleep(0)
    assert brought.finish(5)
    assert await asyncio.gather(*waiting) == [True, True]
    assert not other.done()
    assert await brought.finished(5)
    assert not taken(brought, 5)
    assert brought.busy


async def test_one_who_waits_no_more_takes_nothing_from_the_others(brought: Receipts) -> None:
    """A request that is given up."""
    first, second = (asyncio.create_task(brought.finished(5)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    brought.finish(5)
    assert await second


async def test_who_is_let_go_comes_again_and_finds_it_in_hand(brought: Receipts) -> None:
    """It is not handled a second time."""
    waiting = asyncio.create_task(brought.finished(5))
    await asyncio.sleep(0)
    brought.let_go()
    assert not await waiting
    assert not taken(brought, 5)
    again = asyncio.create_task(brought.finished(5))
    await asyncio.sleep(0)
    brought.finish(5)
    assert await again


async def test_what_was_parked_is_durable(brought: Receipts) -> None:
    """Telegram may bring it again, where it was not answered before a bot died."""
    brought.note_parked(9)
    assert not taken(brought, 9)
    assert await brought.finished(9)
    assert not brought.finish(9)


async def test_another_terms_update_is_unknown(brought: Receipts) -> None:
    """Whoever waits is told to come again."""
    assert not await brought.finished(7)


def test_a_finished_update_is_known_for_a_day(
    brought: Receipts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers restart anywhere after a quiet week, and memory has an end."""
    brought.finish(5)
    began = monotonic()
    monkeypatch.setattr(
        "shared.telegram.updates.receipts.monotonic", lambda: began + REMEMBERED - 1
    )
    assert not taken(brought, 5)
    brought.finish(6)
    monkeypatch.setattr(
        "shared.telegram.updates.receipts.monotonic", lambda: began + REMEMBERED + 1
    )
    assert taken(brought, 5)
    assert not taken(brought, 6)
