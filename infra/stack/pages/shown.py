"""What the console needs to show the stack: the picture's layout, and where each part answers."""

import json
from dataclasses import asdict
from typing import Any

from infra.stack.pages.shapes import BOX_WIDTH, PILL_HEIGHT, PILL_WIDTH
from infra.stack.pages.topology import legend, picture
from infra.stack.plan import WATCHING, Infrastructure, Plan, Service

SHOWN = "shared/src/shared/generated/stack.json"


def shown_stack(plan: Plan) -> str:
    """Return the file that `shared.console` reads, as JSON.

    `picture` is what the page draws; `parts` are services and infrastructure by name, each with the
    address of its health check between containers, or none; `optional` is one that a developer may
    leave out.
    """
    drawn = picture(plan)
    parts = [_store(part) for part in plan.infrastructure]
    parts += [_service(service) for service in plan.services]
    sizes = {"box_width": BOX_WIDTH, "pill_width": PILL_WIDTH, "pill_height": PILL_HEIGHT}
    lines = [{"style": style, "meaning": meaning, "x": x} for style, meaning, x in legend(drawn)]
    boxes = [{**asdict(box), "height": box.height} for box in drawn.boxes]
    layout = {**asdict(drawn), **sizes, "boxes": boxes, "legend": lines}
    content = {"picture": layout, "parts": parts}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _store(part: Infrastructure) -> dict[str, Any]:
    return {"name": part.name, "type": part.type, "health": "", "optional": False}


def _service(service: Service) -> dict[str, Any]:
    return {
        "name": service.name,
        "type": service.type,
        "health": health_address(service),
        "optional": bool(service.profiles),
    }


def health_address(service: Service) -> str:
    """Return the URL of a service's health check as another container has it; '' without one."""
    if service.type in WATCHING:
        return f"http://{service.name}:{service.port}/-/healthy"
    if service.health is None or not service.health.path:
        return ""
    return f"http://{service.name}:{service.health.port}{service.health.path}"
