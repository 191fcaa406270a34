"""What comes out works: routes that FastAPI serves, functions whose types hold to the model."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import httpx
import pytest
from fastapi import FastAPI

from shared.generated.schemas import User

Generate = Callable[..., int]
Edit = Callable[[str, str, str], None]

ROOT = Path(__file__).parents[3]
USERS = "services/backend/spec/users.yaml"
EVENTS = "shared/spec/events.yaml"

LIST_AND_DELETE = """
    get:
      operationId: find_user
      summary: Find a user.
      parameters:
        - {name: username, in: query, required: true, schema: {type: string, minLength: 2}}
        - {name: exact, in: query, schema: {type: boolean}}
      responses:
        "200":
          description: The user.
          headers:
            Cache-Control: {schema: {type: string, const: no-store}}
          content:
            application/json:
              schema: {$ref: ../../../shared/spec/models.yaml#/$defs/User}
  /users/{user_id}:
    delete:
      operationId: delete_user
      summary: Forget a user.
      parameters:
        - {name: user_id, in: path, required: true, schema: {type: integer}}
      responses:
        "204": {description: The user is forgotten.}
"""

SECOND_EVENT = """\
  user_left:
    address: user_left
    description: A user left.
    messages:
      UserLeft:
        payload:
          allOf:
            - $ref: "#/components/schemas/CloudEvent"
            - {type: object, properties: {data: {$ref: models.yaml#/$defs/User}}}
operations:
  publish_user_left:
    action: send
    channel: {$ref: "#/channels/user_left"}
    summary: Tell that a user left.
"""


def load(path: Path) -> ModuleType:
    """Import a generated module from where it was written."""
    spec = importlib.util.spec_from_file_location(f"generated_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Controller:
    """Carries out the operations and remembers what it was called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    async def find_user(self, username: str, exact: bool | None) -> User:  # noqa: FBT001 — as generated
        """Return somebody."""
        self.calls.append(("find", username, exact))
        return User.model_validate(
            {"id": 1, "first_name": "Ann", "registered_at": "2026-01-01T00:00:00Z"}
        )

    async def delete_user(self, user_id: int) -> None:
        """Do nothing."""
        self.calls.append(("delete", user_id))


@pytest.fixture
def router(generate: Generate, edit: Edit, repository: Path) -> ModuleType:
    """The module made of a spec with query parameters, fixed headers and an empty answer."""
    text = (repository / USERS).read_text(encoding="utf-8")
    edit(USERS, text[text.index("  /users:") :], "  /users:" + LIST_AND_DELETE)
    assert generate() == 0
    return load(repository / "services/backend/src/backend/generated/users.py")


async def test_a_router_passes_on_what_it_was_asked(router: ModuleType) -> None:
    """Path and query parameters reach the controller, its answer the client, with the header."""
    controller, app = Controller(), FastAPI()
    app.include_router(router.users_router(controller))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        answer = await client.get("/users", params={"username": "ann"})
        deleted = await client.delete("/users/7")
        refused = await client.get("/users", params={"username": "a"})
    assert answer.status_code == 200
    assert answer.json()["first_name"] == "Ann"
    assert answer.headers["cache-control"] == "no-store"
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert refused.status_code == 422
    assert controller.calls == [("find", "ann", None), ("delete", 7)]


def test_an_event_with_readers_only_gets_no_publisher(
    generate: Generate, edit: Edit, repository: Path
) -> None:
    """The operations decide: what nobody sends cannot be sent by mistake."""
    text = (repository / EVENTS).read_text(encoding="utf-8")
    publish = text[text.index("  publish_") : text.index("  subscribe_")]
    edit(EVENTS, publish, "")
    assert generate() == 0
    made = (repository / "shared/src/shared/generated/events.py").read_text()
    assert "def subscribe_command_received" in made
    assert "def publish_command_received" not in made


def test_the_types_hold_a_handler_to_the_model(
    generate: Generate, edit: Edit, repository: Path
) -> None:
    """With several events, mypy strict finds one fault: the handler of the wrong event."""
    edit(EVENTS, "operations:\n", SECOND_EVENT)
    assert generate() == 0
    misuse = repository / "misuse.py"
    misuse.write_text(
        dedent("""\
            from shared.generated.events import Delivery, subscribe_command_received
            from shared.generated.schemas import User


            async def handler(event: User, delivery: Delivery) -> None: ...


            subscribe_command_received(group="x")(handler)
            """)
    )
    generated = repository / "shared/src/shared/generated"
    assert "publish_user_left" in (generated / "events.py").read_text()
    command = (sys.executable, "-m", "mypy", "--strict", "--config-file", "")
    complaints = subprocess.run(
        (*command, "--explicit-package-bases", str(generated), str(misuse)),
        cwd=repository,
        env={"MYPYPATH": str(ROOT / "shared/src"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    ).stdout.splitlines()
    assert complaints[0].startswith("misuse.py:8: error: Argument 1")
    assert complaints[-1].startswith("Found 1 error in 1 file")
