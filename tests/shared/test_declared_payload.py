"""Who takes events.yaml at its word can read the entries of a stream."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from ruamel.yaml import YAML

from shared.generated.events import command_received
from shared.generated.schemas import CommandReceived
from shared.streams import StreamBroker
from tests.servers import RedisServer

SPEC = Path(__file__).parents[2] / "shared/spec"
EVENTS: dict[str, Any] = YAML(typ="safe", pure=True).load(SPEC / "events.yaml")
MESSAGE = EVENTS["components"]["messages"]["CommandReceived"]
EVENT = CommandReceived(
    command="/command привет", args=["привет"], user_id=1, timestamp=datetime.now(UTC)
)


@pytest.fixture
async def entry(broker: StreamBroker, redis_server: RedisServer) -> bytes:
    """The payload of an entry that was really published."""
    await broker.publish_event(command_received, EVENT, event_id="42:7")
    ((_, fields),) = redis_server.client().xrange(command_received.name)
    payload: bytes = fields[b"__data__"]
    return payload


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    """What holds an entry to the payload that the document declares."""
    models = YAML(typ="safe", pure=True).load(SPEC / "models.yaml")
    documents = {"events.yaml": EVENTS, "models.yaml": models}
    registry = Registry[Any]().with_resources(
        (name, DRAFT202012.create_resource(content)) for name, content in documents.items()
    )
    where = "events.yaml#/components/messages/CommandReceived/payload"
    return Draft202012Validator({"$ref": where}, registry=registry)


def test_an_entry_is_what_is_declared(entry: bytes, validator: Draft202012Validator) -> None:
    """The declared content type is CloudEvents, and so is the payload, with the event inside."""
    assert EVENTS["defaultContentType"] == "application/cloudevents+json"
    assert list(validator.iter_errors(json.loads(entry))) == []


@pytest.mark.parametrize("name", EVENTS["components"]["messages"])
def test_every_event_is_declared_with_its_envelope(name: str) -> None:
    """The payload is what an entry holds, and its type is the stream's name."""
    message = EVENTS["components"]["messages"][name]
    envelope, event = message["payload"]["allOf"]
    assert envelope == {"$ref": "#/components/schemas/CloudEvent"}
    assert event["properties"]["type"] == {"const": message["name"]}


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type", "data"])
def test_what_is_no_entry_is_not_declared(
    entry: bytes, validator: Draft202012Validator, name: str
) -> None:
    """Each attribute is asked for, and the event itself is held to its model."""
    content = json.loads(entry)
    assert list(validator.iter_errors({**content, name: {"command": 1}}))
    del content[name]
    assert list(validator.iter_errors(content))
    assert list(validator.iter_errors(content.get("data", {})))


@pytest.mark.parametrize("name", ["traceparent", "tracestate"])
def test_what_an_event_carries_of_its_trace_is_declared(
    entry: bytes, validator: Draft202012Validator, name: str
) -> None:
    """As a text, beside the attributes that an entry without a trace has."""
    content = json.loads(entry)
    assert list(validator.iter_errors({**content, name: "00-ab-cd-01"})) == []
    assert list(validator.iter_errors({**content, name: 7}))


def test_a_consumer_that_is_generated_from_it_reads_an_entry(entry: bytes, tmp_path: Path) -> None:
    """A class made of the declared payload, by a tool that knows nothing of ours, parses it."""
    for name in ("events.yaml", "models.yaml"):
        (tmp_path / name).write_text((SPEC / name).read_text())
    payload = json.dumps(MESSAGE["payload"]).replace('"#/', '"events.yaml#/')
    (tmp_path / "payload.json").write_text(json.dumps({**json.loads(payload), "title": "Entry"}))
    subprocess.run(
        [
            *(sys.executable, "-m", "datamodel_code_generator", "--input", "payload.json"),
            *("--input-file-type", "jsonschema", "--output", "consumer.py"),
            *("--output-model-type", "pydantic_v2.BaseModel", "--disable-timestamp"),
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    reader = (
        "import sys, consumer as made; "
        "event = made.Entry.model_validate_json(sys.stdin.buffer.read()); "
        "print(event.source, event.id, event.data.command)"
    )
    command = (sys.executable, "-X", "utf8", "-c", reader)
    read = subprocess.run(command, cwd=tmp_path, input=entry, check=True, capture_output=True)
    assert read.stdout.decode() == f"/tests 42:7 {EVENT.command}\n"
