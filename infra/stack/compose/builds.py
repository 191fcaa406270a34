"""How the image of each container is built."""

from typing import Any

from infra.stack.plan import Infrastructure, Plan, Service

DOCKERFILE = "services/Dockerfile"
STORES = "infra/images"
WATCHERS = "infra/observability"
INGRESS = "infra/ingress"

Build = dict[str, Any]
"""Compose's `build`."""


def server_builds(plan: Plan) -> dict[str, Build]:
    """Return how the image of each container of prod is built, by its name."""
    stores = {part.name: build_of_store(part) for part in plan.stores("prod")}
    here = (part for part in plan.services if "prod" in part.overlays and not part.image)
    return stores | {service.name: build_of(service) for service in here}


def build_of(service: Service) -> Build:
    """Return how a service's image is built; one that is declared is not."""
    if service.image:
        return {}
    if not service.built:
        folder = INGRESS if service.type == "caddy" else WATCHERS
        return {"context": folder, "dockerfile": "Dockerfile", "target": service.type}
    return {"context": ".", "dockerfile": DOCKERFILE, "args": {"SERVICE": service.name}}


def build_of_store(part: Infrastructure) -> Build:
    """Return how the image of a part of the infrastructure is built."""
    return {"context": STORES, "dockerfile": "Dockerfile", "target": _target(part)}


def _target(part: Infrastructure) -> str:
    """Return which of the Dockerfile's images it is."""
    return f"{part.type}_copies" if part.copies > 1 else part.type
