"""events.yaml: the channels, and the functions that services publish and subscribe with."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from infra.codegen.specs.documents import Document, SpecError
from infra.codegen.specs.models import Models
from infra.codegen.specs.names import is_taken
from infra.codegen.specs.properties import required_faults
from infra.codegen.specs.validation import asyncapi_faults

ENVELOPE = "#/components/schemas/CloudEvent"
"""What every entry holds; the event itself is its `data`."""
PREFIX = {"send": "publish", "receive": "subscribe"}
NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
FUNCTIONS = ("publish_", "publisher_", "refuse_", "subscribe_")
ADDRESS = re.compile(r"(?!.*\.dlq$)[A-Za-z0-9_][A-Za-z0-9_.:-]{0,99}")
"""A stream's name stands in patterns of keys that say who may do what, so it holds none itself."""


@dataclass(frozen=True)
class Channel:
    """One stream and the one kind of event in it.

    Attributes:
        name: The key of the channel, a Python identifier.
        address: The stream's name, and the CloudEvents type of the events in it.
        model: The class of the event, which is the data of the payload.
        description: What the stream holds, one sentence.
        publish: What the publishing operation says of itself, if there is one.
        subscribe: The same for the subscribing operation.
    """

    name: str
    address: str
    model: str
    description: str
    publish: str | None
    subscribe: str | None


def check(document: Document, models: Models) -> tuple[Channel, ...]:
    """Return the channels of a checked AsyncAPI document.

    Raises:
        SpecError: It is no AsyncAPI 3.0, or has what the generator cannot translate.
    """
    faults = asyncapi_faults(document) or [
        *required_faults(document, ("components", "schemas")),
        *required_faults(document, ("components", "messages")),
    ]
    if faults:
        raise SpecError(faults)
    reader = _Reader(document, models)
    channels = tuple(reader.channels())
    if reader.faults:
        raise SpecError(reader.faults)
    return channels


def data_reference(message: dict[str, Any]) -> str | None:
    """Return what the `data` of a message's envelope refers to; None where there is none.

    A payload that is the event itself is how documents of before have it, which new ones are
    compared with.
    """
    payload = message.get("payload") or {}
    parts = payload.get("allOf")
    if not isinstance(parts, list) or {"$ref": ENVELOPE} not in parts:
        return payload.get("$ref")
    data = [
        part["properties"].get("data")
        for part in parts
        if isinstance(part, dict) and isinstance(part.get("properties"), dict)
    ]
    references = [schema.get("$ref") for schema in data if isinstance(schema, dict)]
    return references[0] if len(references) == 1 else None


class _Reader:
    def __init__(self, document: Document, models: Models) -> None:
        self.document = document
        self.models = models
        self.faults: list[str] = []

    def channels(self) -> Iterator[Channel]:
        operations = self._operations()
        addresses: dict[str, str] = {}
        for name, channel in (self.document.data.get("channels") or {}).items():
            at = ("channels", name)
            if not NAME.fullmatch(name):
                self._fault(at, f"{name!r} cannot name a function; use lower_snake_case")
            elif name.startswith(FUNCTIONS) or is_taken(name):
                self._fault(at, f"{name!r} means something else in the code; use another name")
            address = channel.get("address")
            if not address:
                self._fault(at, f"the channel {name} has no address, which names its stream")
            elif not ADDRESS.fullmatch(address):
                reason = f"{address!r} cannot name a stream; use letters, digits and _ . : -"
                self._fault((*at, "address"), reason)
            elif address in addresses:
                self._fault((*at, "address"), f"{address!r} is the stream of {addresses[address]}")
            addresses.setdefault(address, name)
            model = self._model(name, channel)
            if model:
                yield Channel(
                    name=name,
                    address=str(address),
                    model=model,
                    description=_sentence(channel),
                    publish=operations.get((name, "send")),
                    subscribe=operations.get((name, "receive")),
                )

    def _model(self, name: str, channel: dict[str, Any]) -> str | None:
        """Return the class of the event in the channel's only message."""
        messages = channel.get("messages") or {}
        at: tuple[str, ...] = ("channels", name, "messages")
        if len(messages) != 1:
            self._fault(at, f"the channel {name} must have exactly one message")
            return None
        key, message = next(iter(messages.items()))
        at = (*at, key)
        if "$ref" in message:
            at, message = self._follow(at, message["$ref"])
            if message is None:
                return None
        model = self.models.name_of(data_reference(message), self.document.path)
        if model is None or not self.models.is_class(model):
            reason = (
                f"the payload must be allOf {ENVELOPE} and an object whose 'data'"
                f" must be a $ref to an object of {self.models.document.path.name}"
            )
            self._fault((*at, "payload"), reason)
            return None
        if message.get("name", channel.get("address")) != channel.get("address"):
            reason = f"the message is called like its stream: {channel.get('address')!r}"
            self._fault((*at, "name"), reason)
        return model

    def _operations(self) -> dict[tuple[str, str], str]:
        """Return what each operation says of itself, by channel and action."""
        sentences: dict[tuple[str, str], str] = {}
        for name, operation in (self.document.data.get("operations") or {}).items():
            at = ("operations", name)
            channel_at, channel = self._follow((*at, "channel"), operation["channel"]["$ref"])
            if channel is None:
                continue
            action = operation["action"]
            wanted = f"{PREFIX[action]}_{channel_at[-1]}"
            if name != wanted:
                self._fault(at, f"an operation that {_does(action)} must be called {wanted!r}")
            for number, part in enumerate(operation.get("messages") or ()):
                self._follow((*at, "messages", str(number)), part["$ref"])
            sentences[channel_at[-1], action] = _sentence(operation)
        return sentences

    def _follow(
        self, at: tuple[str, ...], ref: str, before: frozenset[str] = frozenset()
    ) -> tuple[tuple[str, ...], Any]:
        """Return the pointer and the data of a local reference; None where there is nothing."""
        if ref in before:
            self._fault((*at, "$ref"), f"{ref!r} refers to itself")
            return at, None
        steps = tuple(ref.removeprefix("#/").split("/"))
        data = self.document.data
        for number, step in enumerate(steps):
            if not ref.startswith("#/") or not isinstance(data, dict) or step not in data:
                self._fault((*at, "$ref"), f"{ref!r} points to nothing in this file")
                return at, None
            data = data[step]
            if isinstance(data, dict) and "$ref" in data and number < len(steps) - 1:
                _, data = self._follow(at, data["$ref"], before | {ref})
        return steps, data

    def _fault(self, at: tuple[str, ...], reason: str) -> None:
        pointer = tuple(int(step) if step.isdecimal() else step for step in at)
        self.faults.append(self.document.fault(pointer, reason))


def _does(action: str) -> str:
    return "sends" if action == "send" else "receives"


def _sentence(described: dict[str, Any]) -> str:
    text = described.get("summary") or described.get("description") or described.get("title") or ""
    return " ".join(str(text).split())
