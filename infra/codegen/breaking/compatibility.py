"""Can what was written before still be read, and can those who read before still read on?

A stream keeps its entries for days, and during a deployment old and new processes run side by
side. So a change breaks if an entry that was valid before is refused now, or if a reader of before
relies on something that is no longer there. A change that only lets new values in is no break, but
a note: readers must be deployed before writers.

No library does this: those on PyPI that compare JSON Schemas know types and required fields only,
and none knows where in the file a finding stands.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.codegen.breaking import demands
from infra.codegen.breaking.schemas import Node, Specs, View, expanded, target_of, view

if TYPE_CHECKING:
    from infra.places.reading import Pointer

REMOVABLE = "x-deprecated"
"""A channel that carried this extension at the base may be removed."""


@dataclass(frozen=True)
class Finding:
    """One difference that readers notice; a finding that is not `breaking` is a note."""

    message: str
    breaking: bool


def compare(old: Specs, new: Specs) -> list[Finding]:
    """Return what the change from the old to the new specs does to the readers of events."""
    return list(dict.fromkeys(_Comparison(old, new).channels()))


class _Comparison:
    def __init__(self, old: Specs, new: Specs) -> None:
        self.old = old
        self.new = new
        self._seen: set[tuple[str, Pointer, Pointer]] = set()

    def channels(self) -> Iterator[Finding]:
        """Compare every channel of before; a new one breaks nobody."""
        before = _addresses(self.old)
        after = _addresses(self.new)
        for address, old in before.items():
            if address in after:
                yield from self._channel(address, old, after[address])
            elif not old.data.get(REMOVABLE):
                root = Node(self.new.events, ("channels",), None)
                yield Finding(root.fault(_removed_channel(address, old)), breaking=True)

    def _channel(self, address: str, old: Node, new: Node) -> Iterator[Finding]:
        old_messages, new_messages = _messages(self.old, old), _messages(self.new, new)
        for old_message in old_messages:
            for new_message in new_messages:
                yield from self._content_type(address, old_message, new_message)
                payloads = old_message.data.get("payload"), new_message.data.get("payload")
                if all(isinstance(payload, dict) for payload in payloads):
                    yield from self._schema(
                        address,
                        _event(self.old, old_message.below("payload")),
                        _event(self.new, new_message.below("payload")),
                    )

    def _content_type(self, address: str, old: Node, new: Node) -> Iterator[Finding]:
        before = old.data.get("contentType", self.old.events.data.get("defaultContentType"))
        after = new.data.get("contentType", self.new.events.data.get("defaultContentType"))
        if before != after:
            reason = f"{address}: the content type was {before} and is {after}"
            yield Finding(new.fault(reason, "contentType"), breaking=True)

    def _schema(self, where: str, old_node: Node, new_node: Node) -> Iterator[Finding]:
        old, new = view(self.old, old_node), view(self.new, new_node)
        pair = (where.partition(".")[0], old.node.pointer, new.node.pointer)
        if pair in self._seen:
            return
        self._seen.add(pair)
        if old.types != new.types:
            reason = f"{where}: the type was {_types(old)} and is {_types(new)}"
            yield Finding(new_node.fault(reason, "type"), breaking=True)
            return
        yield from self._removed_fields(where, old, new)
        yield from self._required_fields(where, old, new)
        yield from self._added_fields(where, old, new)
        for name, after in new.properties.items():
            if name in old.properties:
                yield from self._schema(f"{where}.{name}", old.properties[name], after)
        yield from self._items(where, old, new)
        for keyword in sorted({*old.others, *new.others}):
            yield from self._demand(where, keyword, old, new)

    def _removed_fields(self, where: str, old: View, new: View) -> Iterator[Finding]:
        for name in sorted(old.properties.keys() - new.properties.keys()):
            announced = view(self.old, old.properties[name]).deprecated
            if name in old.required or not announced:
                hint = "" if name in old.required else "; mark it 'deprecated: true' first"
                reason = f"{where}: the field {name!r} was removed{hint}"
                yield Finding(new.node.fault(reason, "properties"), breaking=True)

    def _required_fields(self, where: str, old: View, new: View) -> Iterator[Finding]:
        for name in sorted(new.required - old.required):
            kind = "became required" if name in old.properties else "is new and required"
            reason = f"{where}: the field {name!r} {kind}; entries of before do not have it"
            yield Finding(_place_of(new, name).fault(reason), breaking=True)
        for name in sorted((old.required - new.required) & new.properties.keys()):
            reason = f"{where}: the field {name!r} became optional; readers of before need it"
            yield Finding(_place_of(new, name).fault(reason), breaking=True)

    def _added_fields(self, where: str, old: View, new: View) -> Iterator[Finding]:
        extra = old.others.get("additionalProperties")
        if extra is None or extra.data is not False:
            return
        for name in sorted(new.properties.keys() - old.properties.keys()):
            reason = f"{where}: the field {name!r} is new; readers of before allow no other fields"
            yield Finding(_place_of(new, name).fault(reason), breaking=True)

    def _items(self, where: str, old: View, new: View) -> Iterator[Finding]:
        if old.items is not None and new.items is not None:
            yield from self._schema(f"{where}[]", old.items, new.items)
        elif new.items is not None:
            reason = f"{where}: the items were of any kind and now have a schema"
            yield Finding(new.items.fault(reason), breaking=True)
        elif old.items is not None:
            reason = _note(f"{where}: the items may be of any kind")
            yield Finding(new.node.fault(reason), breaking=False)

    def _demand(self, where: str, keyword: str, old: View, new: View) -> Iterator[Finding]:
        before, after = old.others.get(keyword), new.others.get(keyword)
        was = expanded(self.old, before) if before else None
        now = expanded(self.new, after) if after else None
        place = after or new.node
        for reason, breaking in demands.differences(keyword, was, now):
            text = f"{where}: {reason}"
            yield Finding(place.fault(text if breaking else _note(text)), breaking=breaking)


def _addresses(specs: Specs) -> dict[str, Node]:
    """Return the channels by the stream that each of them is."""
    channels = specs.events.data.get("channels") or {}
    root = Node(specs.events, ("channels",), channels)
    return {str(channels[name].get("address", name)): root.below(name) for name in channels}


def _messages(specs: Specs, channel: Node) -> list[Node]:
    messages = channel.data.get("messages") or {}
    inside = [channel.below("messages", name) for name in messages]
    return [target_of(specs, message) or message for message in inside]


def _event(specs: Specs, payload: Node) -> Node:
    """Return the schema of an event itself; its envelope is that of CloudEvents, and no matter."""
    inside = view(specs, payload).properties
    return inside["data"] if {"specversion", "data"} <= inside.keys() else payload


def _types(schema: View) -> str:
    return " or ".join(sorted(schema.types)) or "anything"


def _place_of(schema: View, name: str) -> Node:
    return schema.properties.get(name, schema.node)


def _removed_channel(address: str, old: Node) -> str:
    rule = f"mark it '{REMOVABLE}: true' first"
    return f"the channel {address!r} of {old.document.name} was removed; {rule}"


def _note(reason: str) -> str:
    return f"note: {reason}; deploy readers before writers"
