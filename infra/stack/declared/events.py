"""Read which events exist from the AsyncAPI document; its validity is the code generator's job."""

from dataclasses import dataclass
from pathlib import Path

from yaml import MappingNode, Node, ScalarNode, SequenceNode

from infra.places.source import read

EVENTS = Path("shared/spec/events.yaml")


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel: the address is the name of the event and of its stream.

    `model` is the class that the generator makes of the data of its message.
    """

    address: str
    description: str
    model: str


def declared_events(repository: Path) -> tuple[Channel, ...] | None:
    """Return the channels of the repository's events.yaml, or None where there is no such file."""
    path = repository / EVENTS
    if not path.is_file():
        return None
    root = read(path, str(EVENTS)).root
    channels = _get(root, "channels")
    if not isinstance(channels, MappingNode):
        return ()
    return tuple(_channel(root, str(key.value), channel) for key, channel in channels.value)


def _channel(root: Node | None, key: str, channel: Node) -> Channel:
    address = _text(channel, "address") or key
    model = "".join(part.capitalize() for part in address.split("_"))
    messages = _get(channel, "messages")
    for _, reference in messages.value if isinstance(messages, MappingNode) else ():
        message = _get(_get(root, "components"), "messages", _last(_text(reference, "$ref")))
        payload = _get(message or reference, "payload")
        parts = _get(payload, "allOf")
        for part in parts.value if isinstance(parts, SequenceNode) else ():
            model = _last(_text(_get(part, "properties", "data"), "$ref")) or model
    return Channel(address, _text(channel, "description"), model)


def _last(reference: str) -> str:
    return reference.rpartition("/")[2]


def _get(node: Node | None, *names: str) -> Node | None:
    for name in names:
        pairs = node.value if isinstance(node, MappingNode) else ()
        node = next((value for key, value in pairs if key.value == name), None)
    return node


def _text(node: Node | None, name: str) -> str:
    value = _get(node, name)
    return str(value.value) if isinstance(value, ScalarNode) else ""
