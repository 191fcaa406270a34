"""What a service's sources do with events is what services.yml says that it does."""

from collections.abc import Callable
from pathlib import Path

import pytest

from infra.stack import InvalidInputError
from infra.stack.__main__ import main
from infra.stack.loading import load

STACK = """
version: 1
project: demo
infrastructure: {redis: {type: redis}}
services:
  - name: worker
    type: python
    env: {REDIS_URL: {from: redis}}
    DECLARED
"""
IMPORTS = "from shared.generated.events import "
USES = {
    "a call": (f"{IMPORTS}publish_command_received\npublish_command_received()\n", 2),
    "a call that is awaited": (
        f"{IMPORTS}publish_command_received\nasync def f():\n    await publish_command_received()",
        3,
    ),
    "a refusal": (f"{IMPORTS}refuse_command_received\n\nrefuse_command_received()\n", 3),
    "a publisher": (f"{IMPORTS}publisher_command_received\n\npublisher_command_received()\n", 3),
    "under another name": (f"{IMPORTS}publish_command_received as say\nsay()\n", 2),
    "handed on": (f"{IMPORTS}publish_command_received\nprint(publish_command_received)\n", 2),
    "through the module": (
        "from shared.generated import events\nevents.publish_command_received()\n",
        2,
    ),
    "a probe": (f"{IMPORTS}broker, command_received\nbroker.probe(command_received)\n", 2),
    "a lease": (
        f"{IMPORTS}broker, command_received as stream\n\nbroker.lease(stream, 'name')\n",
        3,
    ),
}
SUBSCRIBES = f"""{IMPORTS}subscribe_command_received

@subscribe_command_received(group="g")
async def handle(event, delivery): ...
"""

Write = Callable[..., Path]


@pytest.fixture
def worker(repository: Callable[..., Path]) -> Write:
    """Write a repository whose one service has a source and declares something."""

    def write(source: str, declared: str = "") -> Path:
        path = repository(STACK.replace("DECLARED", declared))
        module = path.parent / "services/worker/src/worker/main.py"
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text(source, encoding="utf-8")
        return path

    return write


def mistakes(path: Path) -> str:
    """Return what is said of a services.yml that is refused."""
    with pytest.raises(InvalidInputError) as caught:
        load(path)
    return str(caught.value)


def warnings(path: Path) -> list[str]:
    """Return what is said of a services.yml that is taken."""
    return [warning.render("services.yml") for warning in load(path).warnings]


@pytest.mark.parametrize(("source", "line"), USES.values(), ids=USES)
def test_what_is_published_has_to_be_declared(source: str, line: int, worker: Write) -> None:
    """The message has the place in services.yml and that of the use; what it asks for mends it."""
    assert mistakes(worker(source)) == (
        "services.yml:5:11: 'worker' publishes 'command_received' at"
        f" services/worker/src/worker/main.py:{line}; name it here: publishes: [command_received]"
    )
    said = warnings(worker(source, "publishes: [command_received]"))
    assert said == ["services.yml:8:17: warning: nobody subscribes to 'command_received'"]


def test_what_is_subscribed_to_has_to_be_declared(worker: Write) -> None:
    """A declaration of something else is where the missing one belongs; each verb is its own."""
    declared = "subscribes: [reminder_due]\n    publishes: [command_received]"
    said = mistakes(worker(SUBSCRIBES, declared))
    assert said == (
        "services.yml:8:5: 'worker' subscribes to 'command_received' at"
        " services/worker/src/worker/main.py:3; name it here"
    )


def test_what_is_declared_and_never_used_is_told(worker: Write) -> None:
    """It stops nothing: a service that was just created publishes nothing yet."""
    said = warnings(worker("", "publishes: [command_received]\n    subscribes: [reminder_due]"))
    assert (
        "services.yml:8:17: warning: 'worker' never uses publish_command_received or"
        " refuse_command_received; what it may do is all it should" in said
    )
    assert (
        "services.yml:9:18: warning: 'worker' never uses subscribe_reminder_due;"
        " what it may do is all it should" in said
    )


@pytest.mark.parametrize(
    "source",
    [
        "def publish_command_received(): ...\npublish_command_received()\n",
        "from somewhere.else_ import publish_command_received\npublish_command_received()\n",
        f"{IMPORTS}publish_something_else\npublish_something_else()\n",
        f"{IMPORTS}publish_command_received\nthis is no Python\n",
        f"{IMPORTS}publish_command_received\n# publish_command_received()\n",
    ],
    ids=["its own", "another module's", "no event", "no Python", "a comment"],
)
def test_what_only_looks_like_a_use_is_none(source: str, worker: Write) -> None:
    """Neither a function of the same name nor a comment makes a publisher."""
    assert warnings(worker(source)) == []


def test_a_service_without_sources_is_not_asked(repository: Callable[..., Path]) -> None:
    """It is listed first and created then."""
    said = warnings(repository(STACK.replace("DECLARED", "publishes: [command_received]")))
    assert said == ["services.yml:8:17: warning: nobody subscribes to 'command_received'"]


@pytest.mark.parametrize("mode", ["write", "check", "create"])
@pytest.mark.parametrize("source", [USES["a call"][0], SUBSCRIBES])
def test_a_stack_is_refused_without_a_declaration(
    mode: str, source: str, worker: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    """In every mode; nothing is written."""
    path = worker(source)
    assert main(["--file", str(path), "sync", "--mode", mode]) == 65
    assert " 'command_received' at services/worker/src/worker/" in capsys.readouterr().err
    assert not (path.parent / "infra").exists()
