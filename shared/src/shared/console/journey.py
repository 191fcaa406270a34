"""The way of one event, as far as it is recorded.

Sent, fetched, published, given to groups, handled, stored, confirmed to Telegram.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from shared.keys import dead_letters_of
from shared.streams.consume import attempts
from shared.streams.consume.attempts import FailedAttempt
from shared.streams.dead_letters.letters import DeadLetter
from shared.streams.event.envelope import FIELD_BYTES
from shared.tail.entries import Content, described, time_of

if TYPE_CHECKING:
    from redis.asyncio import Redis

Handled = Callable[[str, str], Awaitable[Iterable[tuple[str, datetime]]]]
"""Tells by source and id of an event which handlers have stored it, and when."""


TRACEPARENT_PARTS = 4
"""As w3.org/TR/trace-context has it: version, trace, span, flags."""
FINISHED = "finished with it"
"""What a group has done once it has acknowledged an entry."""


Moments = Callable[[str, str], Awaitable[Mapping[str, str]]]
"""Tells by source and id of an event when its update was fetched, handled and confirmed."""

UPDATE = {
    "fetched": "fetched by",
    "handled": "handled by",
    "asked": "confirmation sent to Telegram by",
    "confirmed": "confirmed to Telegram by",
}
MOST_LETTERS = 500
"""Dead letters among which those of an event are looked for, the newest first."""


async def journey(
    client: "Redis",
    stream: str,
    id_: str,
    handled: Handled | None,
    moments: Moments | None = None,
) -> Content:
    """Return the steps of an entry, in their order.

    Args:
        client: a connection to Redis.
        stream: the stream.
        id_: the entry.
        handled: who has stored its event.
        moments: when its bot had its update.

    Returns:
        `steps`, each with `what`, and `time` in ISO 8601, or a `note`, or both; `done` once
        every group has finished with it and Telegram was told; `trace`, the id of its trace, or ''.
        No steps where the stream does not have it any more.
    """
    entries: Any = await client.xrange(stream, id_, id_)
    if not entries:
        return {"steps": [], "done": True, "trace": ""}
    fields = entries[0][1]
    entry = described(stream, id_.encode(), fields, dead=False)
    source, event_id = entry["source"], entry["event_id"]
    envelope = _envelope(fields.get(FIELD_BYTES, b""))
    data = entry["data"] if isinstance(entry["data"], dict) else {}
    update = await moments(source, event_id) if moments is not None else {}
    times = {"sent": data.get("timestamp"), "published": envelope.get("time")}
    times |= {
        f"{UPDATE[key]} {source.strip('/')}": at for key, at in update.items() if key in UPDATE
    }
    times["in the stream"] = time_of(id_).isoformat()
    if handled is not None:
        stored = await handled(source, event_id)
        times |= {f"stored by {name}": at.astimezone(UTC).isoformat() for name, at in stored}
    letters = await _letters(client, stream, source, event_id)
    groups = [
        await _in_group(client, stream, id_, group, letters)
        for group in await _groups(client, stream)
    ]
    known = [
        {"what": what, "time": datetime.fromisoformat(str(at)).isoformat()}
        for what, at in times.items()
        if _is_time(at)
    ]
    known += [_failed(it) for it in await attempts.read(client, stream, id_, event_id)]
    steps: list[Content] = []
    for step in sorted(known, key=lambda step: datetime.fromisoformat(step["time"])):
        steps.append(step)
        if step["what"] == "in the stream":
            steps += groups
    done = all(group["done"] for group in groups) and (not update or "confirmed" in update)
    return {"steps": steps, "done": done, "trace": _trace(envelope)}


async def _letters(
    client: "Redis", stream: str, source: str, event_id: str
) -> dict[str, DeadLetter]:
    """Return the dead letters of an event, by the group that has given it up."""
    newest: Any = await client.xrevrange(dead_letters_of(stream), count=MOST_LETTERS)
    letters = (DeadLetter.parse(fields) for _, fields in newest)
    return {it.group: it for it in letters if (it.source, it.event_id) == (source, event_id)}


def _failed(attempt: FailedAttempt) -> Content:
    """Return an attempt as a step; one that does not count has no number."""
    counted = f"attempt {attempt.number} of {attempt.group} failed"
    what = counted if attempt.number else f"put off by {attempt.group}"
    return {"what": what, "note": attempt.reason, "time": attempt.time.isoformat()}


async def _groups(client: "Redis", stream: str) -> list[Any]:
    groups: list[Any] = await client.xinfo_groups(stream)
    return sorted(groups, key=lambda group: group["name"])


async def _in_group(
    client: "Redis", stream: str, id_: str, group: Any, letters: Mapping[str, DeadLetter]
) -> Content:
    """Return how far a group is with an entry, and whether it comes back to it."""
    name, shown = group["name"], group["name"].decode(errors="backslashreplace")
    step = {"what": f"group {shown}", "done": False}
    if _place(group["last-delivered-id"].decode()) < _place(id_):
        return {**step, "note": "not read yet"}
    pending: Any = await client.xpending_range(stream, name, id_, id_, 1)
    if pending:
        return {**step, "note": f"pending, attempts: {pending[0]['times_delivered']}"}
    letter = letters.get(name.decode(errors="replace"))
    if letter is not None and letter.entry_id in {id_, ""}:
        tries = f"given up after failed attempts: {letter.deliveries}; the last: {letter.reason}"
        return {**step, "note": tries, "done": True}
    return {**step, "note": FINISHED, "done": True}


def _envelope(raw: bytes) -> dict[str, Any]:
    """Return an entry's envelope; empty where it has none."""
    try:
        envelope = from_json(raw)
    except ValueError:
        return {}
    return envelope if isinstance(envelope, dict) else {}


def _trace(envelope: Mapping[str, Any]) -> str:
    """Return the id of the trace that an event is a part of; '' for none."""
    parts = str(envelope.get("traceparent", "")).split("-")
    return parts[1] if len(parts) == TRACEPARENT_PARTS else ""


def _is_time(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def _place(id_: str) -> tuple[int, ...]:
    return tuple(map(int, id_.split("-")))
