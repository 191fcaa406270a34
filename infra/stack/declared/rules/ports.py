"""Host ports: taken once in an overlay, and open to the world only for a reason."""

from infra.stack.declared.declaration import Publish, Published, Service
from infra.stack.declared.defaults import port_of
from infra.stack.declared.rules.context import Context, Part
from infra.stack.declared.words import OVERLAYS

LOOPBACK = ("127.", "::1")
ANY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104  compared with, never bound


def ports(context: Context) -> None:
    """A host port is taken once in an overlay, and is open to the world only for a reason."""
    parts = [(part, name) for name, part in context.stack.infrastructure.items()]
    owners: list[tuple[Part, str]] = [
        *parts,
        *((service, service.name) for service in context.stack.services),
    ]
    for overlay in OVERLAYS:
        taken: dict[int, list[tuple[str, str, int]]] = {}
        for part, name in owners:
            for port in _published(part.publish, overlay):
                _exposed(context, part, port)
                _clash(context, port, name, taken)
    for name, store in context.stack.infrastructure.items():
        if store.external and _published(store.publish, "prod"):
            message = f"'{name}' is external, so it has no port on a server; leave 'prod' out"
            context.error(message, *store.at, "publish", "prod", key=True)
    for service in context.stack.services:
        _published_where_it_runs(context, service)


def _published(publish: Publish | None, overlay: str) -> tuple[Published, ...]:
    return getattr(publish, overlay) if publish else ()


def _exposed(context: Context, part: Part, port: Published) -> None:
    if not port.host_ip.startswith(LOOPBACK) and not port.reason:
        message = f"a port on {port.host_ip} is open to the network; say why in 'reason'"
        context.error(message, *port.at, "host_ip")
    if isinstance(part, Service) and not (port.target or port_of(part)):
        context.error("'target' is needed: the service has no 'port' of its own", *port.at)
    if isinstance(part, Service) and part.replicas > 1 and port.published:
        message = f"{part.replicas} replicas cannot share host port {port.published}; use 0"
        context.error(message, *port.at)


def _clash(
    context: Context, port: Published, name: str, taken: dict[int, list[tuple[str, str, int]]]
) -> None:
    if not port.published:
        return
    others = taken.setdefault(port.published, [])
    for other, address, line in others:
        if address == port.host_ip or {address, port.host_ip} & ANY_ADDRESS:
            message = f"host port {port.published} is taken by '{other}' on line {line}"
            context.error(message, *port.at)
            break
    others.append((name, port.host_ip, context.reading.value(*port.at).line))


def _published_where_it_runs(context: Context, service: Service) -> None:
    for overlay in OVERLAYS:
        published = _published(service.publish, overlay)
        at = (*service.at, "publish", overlay)
        if published and overlay not in service.overlays:
            context.error(f"'{service.name}' does not run in {overlay}", *at, key=True)
        if overlay == "tests" and any(port.published for port in published):
            context.warn("two test runs at once would want the same port; use 0", *at)
