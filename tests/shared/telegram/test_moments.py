"""What has become of an update, and when, as the console is told of it."""

from datetime import datetime

from shared.telegram.updates.moments import MOST, Moments


def updates(*numbers: int) -> list[dict[str, int]]:
    """Return updates with these numbers."""
    return [{"update_id": number} for number in numbers]


def test_an_update_is_fetched_handled_and_confirmed_in_that_order() -> None:
    """Confirmed is what lies below an offset that was answered, at the time when it was sent."""
    moments = Moments("42")
    moments.fetched(updates(7, 8))
    moments.handled(7)
    moments.asked(8)
    asked = (moments.of("42:7") or {})["asked"]
    moments.answered(8)
    times = moments.of("42:7:paid")
    assert times is not None
    assert times.keys() == {"fetched", "handled", "confirmed"}
    assert times["confirmed"] == asked
    assert datetime.fromisoformat(times["fetched"]) <= datetime.fromisoformat(times["handled"])
    assert (moments.of("42:8") or {}).keys() == {"fetched"}


def test_what_is_given_again_was_fetched_before() -> None:
    """A bot that has polled before somebody else tells when it had the update first."""
    moments = Moments("42")
    moments.fetched(updates(7))
    moments.handled(7)
    moments.fetched(updates(7))
    assert (moments.of("42:7") or {}).keys() == {"fetched", "handled"}


def test_only_the_newest_are_remembered_and_nobody_elses() -> None:
    """Memory is bounded; an id of another bot, or of none, is not known."""
    moments = Moments("42")
    moments.fetched(updates(*range(MOST + 1)))
    assert moments.of("42:0") is None
    assert moments.of("42:1") is not None
    assert [moments.of(event_id) for event_id in ("43:1", "42:x", "", "42")] == [None] * 4
