"""What a service's code says of its events, events.yaml and services.yml say as well."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
YAML_OF = YAML(typ="safe", pure=True)
EVENTS: dict[str, Any] = YAML_OF.load(ROOT / "shared/spec/events.yaml")
MODELS: dict[str, Any] = YAML_OF.load(ROOT / "shared/spec/models.yaml")["$defs"]
SERVICES: dict[str, dict[str, Any]] = {
    service["name"]: service for service in YAML_OF.load(ROOT / "services.yml")["services"]
}
WITH_EVENTS = [name for name, it in SERVICES.items() if it.get("publishes") or it.get("subscribes")]
WHOLE = {"backend", "tg_bot"}
"""Services that register whatever they publish."""
SAID_ONLY = {"title", "description", "examples", "format"}
"""What tells people of a schema; a value is held to the rest."""

Schema = dict[str, Any]


def asyncapi(service: str) -> subprocess.CompletedProcess[str]:
    """Return what the tool prints of a service, with nothing in its environment."""
    command = (sys.executable, "-m", "shared.asyncapi", service)
    return subprocess.run(command, env={}, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module", params=WITH_EVENTS)
def service(request: pytest.FixtureRequest) -> tuple[str, Schema]:
    """A service that has events, and its AsyncAPI document."""
    made = asyncapi(request.param)
    assert made.returncode == 0, made.stderr
    return request.param, YAML_OF.load(made.stdout)


def resolved(document: Schema, node: Any) -> Any:
    """Return a node with every reference within its document followed."""
    if isinstance(node, list):
        return [resolved(document, each) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part.replace("%3C", "<").replace("%3E", ">")]
        siblings = {key: value for key, value in node.items() if key != "$ref"}
        return resolved(document, target | siblings)
    return {key: resolved(document, value) for key, value in node.items()}


def checked(schema: Any) -> Any:
    """Return what a schema holds a value to."""
    if isinstance(schema, list):
        return sorted(schema) if all(isinstance(each, str) for each in schema) else schema
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: checked(value) for name, value in held.items()}
        if key == "properties"
        else checked(held)
        for key, held in schema.items()
        if key not in SAID_ONLY
    }


def operations(document: Schema) -> dict[tuple[str, str], list[Schema]]:
    """Return the payloads of each operation of a document, by its action and its address."""
    payloads: dict[tuple[str, str], list[Schema]] = {}
    for operation in resolved(document, document["operations"]).values():
        key = operation["action"], operation["channel"]["address"]
        payloads.setdefault(key, []).extend(each["payload"] for each in operation["messages"])
    return payloads


def test_a_service_does_what_services_yml_says(service: tuple[str, Schema]) -> None:
    """It receives what it subscribes to and sends what it publishes, and nothing that others do.

    One that is new may not have registered yet what it is going to publish.
    """
    name, document = service
    declared, done = SERVICES[name], set(operations(document))
    publishes = {("send", event) for event in declared.get("publishes", [])}
    assert done | publishes == {
        *publishes,
        *(("receive", event) for event in declared.get("subscribes", [])),
    }
    if name in WHOLE:
        assert done >= publishes


def test_its_events_are_those_of_events_yaml(service: tuple[str, Schema]) -> None:
    """Channel, direction and payload are the same; there the event is the envelope's `data`."""
    _, document = service
    declared = {
        (operation["action"], EVENTS["channels"][channel]["address"]): message
        for operation in EVENTS["operations"].values()
        for channel in [operation["channel"]["$ref"].rpartition("/")[2]]
        for message in EVENTS["channels"][channel]["messages"]
    }
    for key, payloads in operations(document).items():
        model = resolved({"$defs": MODELS}, MODELS[declared[key]])
        assert [checked(payload) for payload in payloads] == [checked(model)] * len(payloads)


def test_a_group_is_named(service: tuple[str, Schema]) -> None:
    """Who reads the document knows which consumer group a service is a member of."""
    name, document = service
    groups = {
        channel["bindings"]["redis"].get("groupName")
        for channel in document["channels"].values()
        if channel["bindings"]["redis"]["method"] == "xreadgroup"
    }
    assert groups == ({name} if SERVICES[name].get("subscribes") else set())


def test_wrong_usage_and_no_such_service_are_told() -> None:
    """One line, and the exit code that says what kind of mistake it was."""
    unknown = asyncapi("nobody")
    assert (unknown.returncode, unknown.stderr) == (65, "asyncapi: No module named 'nobody'\n")
    command = (sys.executable, "-m", "shared.asyncapi")
    usage = subprocess.run(command, env={}, capture_output=True, text=True, check=False)
    assert (usage.returncode, usage.stderr) == (64, "usage: python -m shared.asyncapi SERVICE\n")
