"""What is in hand is confirmed up to the oldest unfinished update, and taken once."""

import asyncio
import time
from typing import Any

import pytest

from shared.telegram.updates import window as window_module
from shared.telegram.updates.window import CAPACITY, Window


def updates(*ids: int) -> list[dict[str, Any]]:
    """Return updates with these ids."""
    return [{"update_id": update_id} for update_id in ids]


def taken(window: Window, *ids: int, offset: int = 0) -> list[int]:
    """Return the ids of what a window takes of an answer."""
    return [update["update_id"] for update in window.take(updates(*ids), offset)]


@pytest.fixture
def window() -> Window:
    """A window with three updates in hand."""
    window = Window()
    assert taken(window, 5, 6, 7) == [5, 6, 7]
    return window


def test_the_offset_stands_at_the_oldest_unfinished_update(window: Window) -> None:
    """What is finished behind it is not confirmed; with the last one all is."""
    assert window.offset == 5
    window.finish(6)
    assert window.offset == 5
    window.finish(5)
    assert window.offset == 7
    window.finish(7)
    assert (window.offset, window.busy) == (8, False)


def test_what_telegram_repeats_is_taken_once(window: Window) -> None:
    """In hand or finished, it is known; also in an answer that was asked for before it ended."""
    window.finish(6)
    assert taken(window, 5, 6, 7, 8, offset=5) == [8]
    for update_id in (5, 7, 8):
        window.finish(update_id)
    assert taken(window, 5, 6, 7, 8, 9, offset=5) == [9]


def test_ids_that_restart_are_new(window: Window) -> None:
    """After a quiet week they restart anywhere, perhaps at those that were there before."""
    for update_id in (5, 6, 7):
        window.finish(update_id)
    window.restart()
    assert window.offset == 0
    assert taken(window, 3, 5) == [3, 5]
    assert window.offset == 3


def test_an_empty_answer_changes_nothing_while_something_is_in_hand(window: Window) -> None:
    """The unfinished stay known, and unconfirmed."""
    window.restart()
    assert window.offset == 5
    assert taken(window, 5, 6, 7, offset=5) == []


def test_it_is_full_when_telegram_has_nothing_new_to_show() -> None:
    """A hundred from the oldest unfinished one on, finished or not."""
    window = Window()
    assert len(taken(window, *range(1, CAPACITY))) == CAPACITY - 1
    assert not window.full
    assert taken(window, CAPACITY) == [CAPACITY]
    assert window.full
    window.finish(CAPACITY // 2)
    assert window.full
    window.finish(1)
    assert not window.full


async def test_who_waits_learns_that_nothing_is_in_hand(window: Window) -> None:
    """At once where nothing is."""
    drained = window.drained()
    for update_id in (5, 6):
        window.finish(update_id)
    assert not drained.done()
    window.finish(7)
    await asyncio.wait_for(drained, 1)
    await asyncio.wait_for(window.drained(), 1)


def test_it_is_roomy_while_telegram_can_show_half_as_many_again() -> None:
    """Fifty that it knows, finished or not; with one more it waits until they are confirmed."""
    window = Window()
    taken(window, *range(1, CAPACITY // 2 + 1))
    assert window.roomy
    window.finish(2)
    assert window.roomy
    taken(window, CAPACITY)
    assert not window.roomy
    window.finish(1)
    assert window.roomy


def test_the_oldest_that_take_long_are_told(window: Window) -> None:
    """Those that are in hand for the time, and no more of them than may be parked."""
    window.finish(5)
    assert list(window.in_hand_for(0, 2)) == [6, 7]
    assert list(window.in_hand_for(0, 1)) == [6]
    assert window.in_hand_for(0, 2)[6].update == {"update_id": 6}
    assert window.in_hand_for(0, 0) == window.in_hand_for(60, 2) == {}


def test_what_is_not_in_hand_is_not_finished(window: Window) -> None:
    """It was before, or it is of another term: it is confirmed by nobody here."""
    assert window.finish(5)
    assert not window.finish(5)
    assert not window.finish(8)
    assert window.offset == 6


def test_an_answer_in_another_order_confirms_nothing_early() -> None:
    """The offset stands at the lowest id of an answer, as it confirms all that lie below it."""
    window = Window()
    assert taken(window, 7, 5, 6) == [5, 6, 7]
    assert window.offset == 5


def test_a_clock_that_is_put_back_keeps_nothing_from_being_parked(
    window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is slow holds up everybody until it is parked."""
    hour_ago = time.time() - 3600
    monkeypatch.setattr(window_module, "time", lambda: hour_ago)
    assert list(window.in_hand_for(60, 2)) == [5, 6]
