"""A spec that cannot be used is refused with file, line, column and reason; nothing is written."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.codegen.specs.validation import ASYNCAPI

Generate = Callable[..., int]
Edit = Callable[[str, str, str], None]

MODELS = "shared/spec/models.yaml"
EVENTS = "shared/spec/events.yaml"
USERS = "services/backend/spec/users.yaml"
SEND = '    action: send\n    channel: {$ref: "#/channels/command_received"}'
NAMED = "  command_received:\n    address: command_received"
ADDRESS = "address: command_received"
COMPONENT = '$ref: "#/components/messages/CommandReceived"'
SHOUT = SEND.replace("send", "shout")
PROBLEM_REF = "schema: {$ref: ../../../shared/spec/models.yaml#/$defs/Problem}"
USER_ID_REF = "schema: {$ref: ../../../shared/spec/models.yaml#/$defs/UserId}"
CREATE_REF = "schema: {$ref: ../../../shared/spec/models.yaml#/$defs/UserCreate}"

# file, text in it, what it becomes, and a part of what is said of it
CASES = [
    # YAML
    (MODELS, "title: Models of ", "title: [Models ", "not YAML: "),
    (MODELS, "title: Models of ", "title: a\ntitle: b ", "duplicate key 'title'"),
    (EVENTS, "asyncapi: 3.0.0", "asyncapi: 3.0.0\n? [a]\n: b", "a key must be text, not a list"),
    (EVENTS, "asyncapi: 3.0.0", "asyncapi: &a [*a]", "an alias must not contain itself"),
    # JSON Schema
    (MODELS, "    required: [command, args, user_id, timestamp]", "    required: command", ": "),
    (
        MODELS,
        "    description: A user sent a command to the bot.\n    type: object",
        "    description: A user sent a command to the bot.\n    type: objekt",
        "$defs.CommandReceived.type",
    ),
    (MODELS, "  CommandReceived:\n", "  command_received:\n", "cannot name a class"),
    (MODELS, "  CommandReceived:\n", "  None:\n", "'None' means something else in the code"),
    (MODELS, "  CommandReceived:\n", "  Limits:\n", "'Limits' means something else in the code"),
    (MODELS, "    description: A registered user.\n", "", "User has no description"),
    (MODELS, 'items: {$ref: "#/$defs/Fault"}', 'items: {$ref: "#/$defs/Falt"}', "no definition"),
    # AsyncAPI
    (EVENTS, "asyncapi: 3.0.0", "asyncapi: 2.6.0", "asyncapi: '3.0.0' was expected"),
    (EVENTS, SEND, SHOUT, "operations.publish_command_received.action"),
    (EVENTS, "    title: Commands received", "    tittle: Commands", "unknown key 'tittle'"),
    (EVENTS, "    address: command_received\n", "", "has no address"),
    (EVENTS, "#/$defs/CommandReceived", "#/$defs/CommandRecieved", "must be a $ref to an object"),
    (EVENTS, "#/$defs/CommandReceived", "#/$defs/UserId", "must be a $ref to an object"),
    (EVENTS, "  publish_command_received:", "  publish_command:", "'publish_command_received'"),
    (EVENTS, "      name: command_received", "      name: command", "is called like its stream"),
    (EVENTS, NAMED, "  class:\n    address: c", "'class' means something else in the code"),
    (EVENTS, NAMED, "  str:\n    address: c", "'str' means something else in the code"),
    (EVENTS, NAMED, "  broker:\n    address: c", "'broker' means something else in the code"),
    (EVENTS, NAMED, "  publish_a:\n    address: c", "'publish_a' means something else"),
    (EVENTS, NAMED, "  über:\n    address: c", "use lower_snake_case"),
    (EVENTS, ADDRESS, 'address: "*"', "'*' cannot name a stream; use letters, digits"),
    (EVENTS, ADDRESS, 'address: "{telegram_update}.dlq"', "cannot name a stream"),
    (EVENTS, ADDRESS, 'address: "a\\0b"', "cannot name a stream"),
    (EVENTS, ADDRESS, "address: telegram_update.dlq", "cannot name a stream"),
    (EVENTS, COMPONENT, '$ref: "#/channels/command_received/messages/CommandReceived/x"', "itself"),
    (
        EVENTS,
        '        $ref: "#/components/messages/CommandReceived"',
        '        $ref: "#/components/messages/CommandRecieved"',
        "points to nothing in this file",
    ),
    # OpenAPI
    (USERS, "openapi: 3.1.0", "openapi: 3.1.0\nsurplus: 1", "unknown key 'surplus'"),
    (USERS, "      operationId: get_user", "      operationId: getUser", "snake_case operationId"),
    (USERS, "      operationId: get_user", "      operationId: create_user", "is not unique"),
    (USERS, "      summary: Return a registered user.\n", "", "needs a summary"),
    (USERS, CREATE_REF, "schema: {type: object}", "must be a $ref to an object"),
    (USERS, CREATE_REF, CREATE_REF.replace("UserCreate", "Usr"), "no definition of shared/spec"),
    (USERS, USER_ID_REF, "schema: {type: array, items: {}}", "plain path and query parameters"),
    (USERS, '        "200":', "        default:", "numeric statuses only"),
    (USERS, "    post:\n", "    head:\n", "does not know 'head'"),
    (USERS, "        required: true\n        content:", "        content:", "required bodies only"),
    (USERS, "          in: path", "          in: pfad", "parameters"),
]


@pytest.mark.parametrize(("name", "old", "new", "reason"), CASES)
def test_a_fault_is_named_with_its_place(  # noqa: PLR0913 — the four parts of a case and its tools
    generate: Generate,
    repository: Path,
    edit: Edit,
    capsys: pytest.CaptureFixture[str],
    *,
    name: str,
    old: str,
    new: str,
    reason: str,
) -> None:
    """Exit status 65; every line starts with file, line and column; nothing is written."""
    edit(name, old, new)
    assert generate() == os.EX_DATAERR
    lines = capsys.readouterr().err.splitlines()
    assert any(reason in line for line in lines), lines
    for line in lines:
        file, row, column, text = line.split(":", 3)
        assert (repository / file).is_file()
        assert 0 < int(row) <= len((repository / file).read_text().splitlines())
        assert int(column) > 0
        assert text.strip()
    assert not list(repository.rglob("generated"))


PLACES = [
    (MODELS, '#/$defs/Fault"}', '#/$defs/Falt"}', 17),
    (EVENTS, SEND, SHOUT, 5),
    (EVENTS, "    title: Commands received", "    tittle: Commands", 5),
    (USERS, "      operationId: get_user", "      operationId: getUser", 7),
    (USERS, "          in: path", "          in: pfad", 11),
]


@pytest.mark.parametrize(("name", "old", "new", "column"), PLACES)
def test_the_place_is_that_of_the_fault(  # noqa: PLR0913 — the same
    generate: Generate,
    repository: Path,
    edit: Edit,
    capsys: pytest.CaptureFixture[str],
    *,
    name: str,
    old: str,
    new: str,
    column: int,
) -> None:
    """An editor that jumps there stands on what must be changed."""
    edit(name, old, new)
    row = 1 + (repository / name).read_text().split(new)[0].count("\n")
    assert generate() == os.EX_DATAERR
    places = [line.split(":")[1:3] for line in capsys.readouterr().err.splitlines()]
    assert [str(row), str(column)] in places


def test_the_faults_of_all_specs_are_reported_at_once(
    generate: Generate, edit: Edit, capsys: pytest.CaptureFixture[str]
) -> None:
    """One run tells everything there is to mend."""
    edit(EVENTS, SEND, SHOUT)
    edit(USERS, "      operationId: get_user", "      operationId: getUser")
    edit(USERS, "      summary: Return a registered user.\n", "")
    assert generate() == os.EX_DATAERR
    message = capsys.readouterr().err
    assert message.count(f"{USERS}:") == 2
    assert message.count(f"{EVENTS}:") >= 1


@pytest.mark.parametrize("name", [MODELS, EVENTS])
def test_a_spec_that_is_missing_is_named(
    generate: Generate, repository: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not a traceback."""
    (repository / name).unlink()
    assert generate() == os.EX_DATAERR
    assert capsys.readouterr().err == f"{name}:1:1: cannot be read: No such file or directory\n"


@pytest.mark.parametrize("content", [b"", b"# nothing\n"])
def test_an_empty_spec_is_named(
    generate: Generate, repository: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor is that."""
    (repository / EVENTS).write_bytes(content)
    assert generate() == os.EX_DATAERR
    assert capsys.readouterr().err == f"{EVENTS}:1:1: is empty\n"


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a: \x07", b"[1, 2]", b"just text", b"12"])
@pytest.mark.parametrize("name", [MODELS, EVENTS, USERS])
def test_any_bytes_are_refused_without_a_traceback(
    generate: Generate,
    repository: Path,
    name: str,
    content: bytes,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is no UTF-8, no YAML, or no mapping."""
    (repository / name).write_bytes(content)
    assert generate() == os.EX_DATAERR
    assert capsys.readouterr().err.startswith(f"{name}:1:")
    assert not list(repository.rglob("generated"))


def test_the_official_schema_is_unchanged() -> None:
    """AsyncAPI's own file, as its README says: the digest is that of the published one."""
    digest = hashlib.sha256(ASYNCAPI.read_bytes()).hexdigest()
    assert digest in ASYNCAPI.with_name("README.md").read_text(encoding="utf-8")
