"""Where everything stands in the picture of the stack; the templates draw it.

Events flow from left to right: stand-ins, publishers, the streams inside Redis, subscribers, the
rest of the infrastructure. Waiting is written into the boxes: as lines it would hide the flow.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from infra.stack.pages.arrows import arrows_of
from infra.stack.pages.shapes import (
    BOX_WIDTH,
    PADDING,
    PILL_GAP,
    PILL_HEIGHT,
    PILL_WIDTH,
    Arrow,
    Box,
    Pill,
    Streams,
)
from infra.stack.plan import OVERLAYS, Event, Infrastructure, Plan, Service

MARGIN = 32
TITLE = 56
COLUMN_GAP = 92
ROW_GAP = 24
STREAMS_HEADER = 50
LEGEND = 56
CHARACTERS = 34
STREAMS_COLUMN = 2
TITLES = {"redis": "Redis", "postgres": "PostgreSQL"}
LEGEND_STEP = 136
MEANINGS = {
    "publishes": "publishes",
    "subscribes": "subscribes",
    "uses": "uses",
    "stands_in": "stands in at",
}
MARKS = {
    "service_started": "",
    "service_healthy": " ✓",
    "service_completed_successfully": " (done)",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that is drawn, with its final place."""

    title: str
    width: int
    height: int
    boxes: tuple[Box, ...]
    streams: Streams | None
    arrows: tuple[Arrow, ...]


def picture(plan: Plan) -> Picture:
    """Return the picture of a plan, the same for the same plan."""
    order = {event.name: row for row, event in enumerate(_used_events(plan))}
    columns = _columns(plan, order)
    tallest = max(_height(column) for column in columns)
    streams_height = STREAMS_HEADER + len(order) * (PILL_HEIGHT + PILL_GAP)
    inner = max(tallest, streams_height if order else 0)
    placed: list[Box] = []
    streams: Streams | None = None
    x = MARGIN
    for index, column in enumerate(columns):
        if index == STREAMS_COLUMN and order:
            streams = _streams(plan, order, x, TITLE + (inner - streams_height) // 2)
            x += streams.width + COLUMN_GAP
        if column:
            y = TITLE + (inner - _height(column)) // 2
            for box in column:
                placed.append(replace(box, x=x, y=y))
                y += box.height + ROW_GAP
            x += BOX_WIDTH + COLUMN_GAP
    width = max(x - COLUMN_GAP + MARGIN, 2 * BOX_WIDTH + 2 * MARGIN + COLUMN_GAP)
    arrows = arrows_of(plan, {box.name: box for box in placed}, streams)
    height = TITLE + inner + MARGIN + LEGEND
    return Picture(plan.project, width, height, tuple(placed), streams, arrows)


def _used_events(plan: Plan) -> tuple[Event, ...]:
    """Return the events that somebody publishes or reads."""
    return tuple(event for event in plan.events if event.publishers or event.subscribers)


def waits(service: Service) -> str:
    """Return what a service waits for, in words."""
    return ", ".join(
        f"{dependency.name}{MARKS[dependency.condition]}" for dependency in service.depends_on
    )


def _columns(plan: Plan, order: dict[str, int]) -> list[list[Box]]:
    """Return the boxes by column, each column ordered so that arrows cross little."""
    stand_ins = [service for service in plan.services if service.provides]
    others = [service for service in plan.services if not service.provides]
    left = [service for service in others if service.publishes and not service.subscribes]
    right = [service for service in others if service.subscribes]
    for service in others:
        if not service.publishes and not service.subscribes:
            (left if len(left) <= len(right) else right).append(service)
    holder = streams_holder(plan)
    stores = [part for part in plan.infrastructure if not order or part.name != holder]
    return [
        [_service(service) for service in stand_ins],
        [
            _service(service)
            for service in sorted(left, key=lambda service: _middle(service, order))
        ],
        [
            _service(service)
            for service in sorted(right, key=lambda service: _middle(service, order))
        ],
        [Box(part.name, TITLES[part.type] + _from(part), "store", ()) for part in stores],
    ]


def streams_holder(plan: Plan) -> str:
    """Return the name of the Redis that the streams live in."""
    return next((part.name for part in plan.infrastructure if part.type == "redis"), "")


def _from(part: Infrastructure) -> str:
    """Return what is behind the title of a part that a server does not have alone."""
    copies = f" ({part.copies} copies)" if part.copies > 1 else ""
    return " (external)" if part.external else copies


def _middle(service: Service, order: dict[str, int]) -> float:
    rows = [order[name] for name in (*service.publishes, *service.subscribes)]
    return sum(rows) / len(rows) if rows else float(len(order))


def _service(service: Service) -> Box:
    lines: list[str] = []
    if service.depends_on:
        lines += _wrapped(f"waits for {waits(service)}")
    if service.profiles:
        lines += _wrapped(f"dev profile {' or '.join(service.profiles)}")
    if len(service.overlays) < len(OVERLAYS):
        lines += _wrapped(f"only in {', '.join(service.overlays)}")
    if service.fronts:
        names = ", ".join(service.fronts)
        lines += _wrapped(f"brings {names} what comes to {service.host}")
    style = "stand_in" if service.provides else "service"
    title = (
        service.type if service.replicas == 1 else f"{service.type} (replicas: {service.replicas})"
    )
    return Box(service.name, title, style, tuple(lines))


def _wrapped(text: str) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if len(longer) <= CHARACTERS or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _streams(plan: Plan, order: dict[str, int], x: int, y: int) -> Streams:
    width = PILL_WIDTH + 2 * PADDING
    step = PILL_HEIGHT + PILL_GAP
    pills = tuple(
        Pill(name, x + PADDING, y + STREAMS_HEADER + index * step)
        for index, name in enumerate(order)
    )
    height = STREAMS_HEADER + len(order) * step
    holder = next(part for part in plan.infrastructure if part.name == streams_holder(plan))
    kind = f"Redis Streams{_from(holder)}"
    return Streams(holder.name, kind, x, y, width, height, pills)


def legend(drawn: Picture) -> list[tuple[str, str, int]]:
    """Return the kinds of lines that are drawn, each with its meaning and its place."""
    there = {arrow.style for arrow in drawn.arrows}
    if any(arrow.both for arrow in drawn.arrows):
        there.add("publishes")
    shown = [(style, meaning) for style, meaning in MEANINGS.items() if style in there]
    return [(style, meaning, index * LEGEND_STEP) for index, (style, meaning) in enumerate(shown)]


def _height(column: Sequence[Box]) -> int:
    return sum(box.height for box in column) + ROW_GAP * max(0, len(column) - 1)
