"""Read which events exist from the AsyncAPI document; its validity is the code generator's job."""

from dataclasses import dataclass
from pathlib import Path

from yaml import MappingNode, Node, ScalarNode

from infra.stack.source import read

EVENTS = Path("shared/spec/events.yaml")


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel: the address is the name of the event and of its stream."""

    address: str
    description: str


def declared_events(root: Path) -> tuple[Channel, ...] | None:
    """Return the channels of the repository's events.yaml, or None where there is no such file."""
    path = root / EVENTS
    if not path.is_file():
        return None
    channels = _get(read(path, str(EVENTS)).root, "channels")
    if not isinstance(channels, MappingNode):
        return ()
    return tuple(
        Channel(_text(channel, "address") or str(key.value), _text(channel, "description"))
        for key, channel in channels.value
    )


def _get(node: Node | None, name: str) -> Node | None:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if key.value == name:
                return value if isinstance(value, Node) else None
    return None


def _text(node: Node, name: str) -> str:
    found = _get(node, name)
    return str(found.value) if isinstance(found, ScalarNode) else ""
