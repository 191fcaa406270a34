"""What metrics are told of publishing: a batch at a time, so that an event costs little."""

from collections.abc import Sequence

from shared.metrics import catalogue
from shared.streams.publish.batches import Waiting
from shared.streams.publish.outcomes import Outcome, Publication


def record_batch(batch: Sequence[Waiting], outcomes: Sequence[Outcome], now: float) -> None:
    """Count what became of a batch.

    Args:
        batch: the events that shared a call; all are for one stream.
        outcomes: what became of each.
        now: the time, by the clock that `Waiting.handed` is of.
    """
    stream = batch[0].stream
    duplicates = [each.duplicate for each in outcomes if isinstance(each, Publication)]
    catalogue.BATCH_EVENTS.observe(len(outcomes), stream)
    if duplicates:
        catalogue.PUBLISHED.add(stream, "success", by=len(duplicates))
    if any(duplicates):
        catalogue.DUPLICATES.add(stream, by=sum(duplicates))
    if len(duplicates) < len(outcomes):
        catalogue.PUBLISHED.add(stream, "error", by=len(outcomes) - len(duplicates))
    seconds = [(max(0.0, now - each.handed), len(each.events)) for each in batch]
    catalogue.PUBLISH_SECONDS.observe_all(seconds, stream)


def record_refusal(stream: str, answer: Outcome) -> None:
    """Count an event that was refused, unless it had been published before."""
    if isinstance(answer, Publication):
        catalogue.DUPLICATES.add(stream)
    else:
        catalogue.PUBLISHED.add(stream, "error")
