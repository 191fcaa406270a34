"""The arrows of the picture: who publishes, subscribes, uses a store, stands in for another."""

from infra.stack.compose.networks import providers_of
from infra.stack.pages.shapes import BOX_WIDTH, PILL_HEIGHT, PILL_WIDTH, Arrow, Box, Streams
from infra.stack.plan import Plan


def arrows_of(plan: Plan, boxes: dict[str, Box], streams: Streams | None) -> tuple[Arrow, ...]:
    """Return the arrows between what has its place."""
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
        if any(
            variable.reference and variable.reference.target == part.name
            for variable in service.env
        )
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
        for provider in providers.get(variable.given_as, ())
        if provider != service.name
    }
    return tuple(pairs)


def _right(box: Box) -> tuple[int, int]:
    return box.x + BOX_WIDTH, box.y + box.height // 2


def _left(box: Box) -> tuple[int, int]:
    return box.x, box.y + box.height // 2


def _curve(x1: int, y1: int, x2: int, y2: int) -> str:
    bend = max(40, abs(x2 - x1) // 2) * (1 if x2 > x1 else -1)
    return f"M {x1} {y1} C {x1 + bend} {y1}, {x2 - bend} {y2}, {x2} {y2}"
