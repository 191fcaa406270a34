"""Where everything stands in the picture of the stack; the templates draw it.

Events flow from left to right: stand-ins, publishers, the streams inside Redis, subscribers, the
rest of the infrastructure. Waiting is written into the boxes: as lines it would hide the flow.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from infra.stack.compose.networks import providers_of
from infra.stack.plan import OVERLAYS, Event, Plan, Service

MARGIN = 32
TITLE = 56
COLUMN_GAP = 92
ROW_GAP = 24
BOX_WIDTH = 236
HEADER = 52
LINE = 19
PADDING = 14
PILL_WIDTH = 208
PILL_HEIGHT = 38
PILL_GAP = 18
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
class Box:
    """A service or a part of the infrastructure: its place and its lines of small text."""

    name: str
    kind: str
    style: str
    lines: tuple[str, ...]
    x: int = 0
    y: int = 0

    @property
    def height(self) -> int:
        """Return the height that its lines need."""
        return HEADER + (LINE * len(self.lines) + PADDING if self.lines else 0)


@dataclass(frozen=True, slots=True)
class Pill:
    """One stream."""

    name: str
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Streams:
    """The Redis that holds the streams, around their pills."""

    name: str
    x: int
    y: int
    width: int
    height: int
    pills: tuple[Pill, ...]


@dataclass(frozen=True, slots=True)
class Arrow:
    """A curve from one side to another; `style` says what it means."""

    path: str
    style: str
    both: bool = False


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
    arrows = _arrows(plan, {box.name: box for box in placed}, streams)
    height = TITLE + inner + MARGIN + LEGEND
    return Picture(plan.project, width, height, tuple(placed), streams, arrows)


def _used_events(plan: Plan) -> tuple[Event, ...]:
    """Return the events that somebody publishes or reads."""
    return tuple(event for event in plan.events if event.publishers or event.subscribers)


def waits(service: Service) -> str:
    """Return what a service waits for, in words."""
    return ", ".join(f"{one.name}{MARKS[one.condition]}" for one in service.depends_on)


def _columns(plan: Plan, order: dict[str, int]) -> list[list[Box]]:
    """Return the boxes by column, each column ordered so that arrows cross little."""
    stand_ins = [one for one in plan.services if one.provides]
    others = [one for one in plan.services if not one.provides]
    left = [one for one in others if one.publishes and not one.subscribes]
    right = [one for one in others if one.subscribes]
    for one in others:
        if not one.publishes and not one.subscribes:
            (left if len(left) <= len(right) else right).append(one)
    holder = streams_holder(plan)
    stores = [part for part in plan.infrastructure if not order or part.name != holder]
    return [
        [_service(one) for one in stand_ins],
        [_service(one) for one in sorted(left, key=lambda one: _middle(one, order))],
        [_service(one) for one in sorted(right, key=lambda one: _middle(one, order))],
        [Box(part.name, TITLES[part.type], "store", ()) for part in stores],
    ]


def streams_holder(plan: Plan) -> str:
    """Return the name of the Redis that the streams live in."""
    return next((part.name for part in plan.infrastructure if part.type == "redis"), "")


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
    return Streams(streams_holder(plan), x, y, width, height, pills)


def _arrows(plan: Plan, boxes: dict[str, Box], streams: Streams | None) -> tuple[Arrow, ...]:
    arrows = [*_stores(plan, boxes, streams), *_taken(plan, boxes)]
    events = {event.name: event for event in plan.events}
    for pill in streams.pills if streams else ():
        event = events[pill.name]
        for name in dict.fromkeys((*event.publishers, *event.subscribers)):
            says, hears = name in event.publishers, name in event.subscribers
            box = boxes[name]
            port = box.y + box.height // 2
            middle = pill.y + PILL_HEIGHT // 2
            if box.x < pill.x:
                ends = (box.x + BOX_WIDTH, port, pill.x, middle)
                path = _curve(*ends) if says else _curve(*ends[2:], *ends[:2])
            else:
                ends = (pill.x + PILL_WIDTH, middle, box.x, port)
                path = _curve(*ends) if hears else _curve(*ends[2:], *ends[:2])
            style = "subscribes" if hears else "publishes"
            arrows.append(Arrow(path, style, both=says and hears))
    return tuple(arrows)


def _stores(plan: Plan, boxes: dict[str, Box], streams: Streams | None) -> list[Arrow]:
    """Return the lines from services to the infrastructure that has a box of its own.

    From beyond the streams they would cross everything; there the box says what it waits for.
    """
    beyond = streams.x if streams else 0
    return [
        Arrow(_curve(*_right(boxes[service.name]), *_left(boxes[part.name])), "uses")
        for service in plan.services
        for part in plan.infrastructure
        if part.name in boxes and boxes[service.name].x >= beyond
        if any(one.reference and one.reference.target == part.name for one in service.env)
    ]


def _taken(plan: Plan, boxes: dict[str, Box]) -> list[Arrow]:
    return [
        Arrow(_curve(*_right(boxes[source]), *_left(boxes[target])), "stands_in")
        for source, target in _stand_ins(plan)
    ]


def _stand_ins(plan: Plan) -> tuple[tuple[str, str], ...]:
    """Return each stand-in with each service that takes its address."""
    providers = providers_of(plan)
    pairs = {
        (provider, service.name): None
        for service in plan.services
        for variable in service.env
        for provider in providers.get(variable.name, ())
        if provider != service.name
    }
    return tuple(pairs)


def legend(drawn: Picture) -> list[tuple[str, str, int]]:
    """Return the kinds of lines that are drawn, each with its meaning and its place."""
    there = {arrow.style for arrow in drawn.arrows}
    if any(arrow.both for arrow in drawn.arrows):
        there.add("publishes")
    shown = [(style, meaning) for style, meaning in MEANINGS.items() if style in there]
    return [(style, meaning, index * LEGEND_STEP) for index, (style, meaning) in enumerate(shown)]


def _right(box: Box) -> tuple[int, int]:
    return box.x + BOX_WIDTH, box.y + box.height // 2


def _left(box: Box) -> tuple[int, int]:
    return box.x, box.y + box.height // 2


def _curve(x1: int, y1: int, x2: int, y2: int) -> str:
    bend = max(40, abs(x2 - x1) // 2) * (1 if x2 > x1 else -1)
    return f"M {x1} {y1} C {x1 + bend} {y1}, {x2 - bend} {y2}, {x2} {y2}"


def _height(column: Sequence[Box]) -> int:
    return sum(box.height for box in column) + ROW_GAP * max(0, len(column) - 1)
