"""The examples: each is rendered byte for byte, and Compose takes all of it."""

from pathlib import Path

import pytest

from infra.stack import load_plan
from infra.stack.compose.documents import compose_files
from infra.stack.compose.verification import verify
from infra.stack.examples import EXAMPLES, examples, rendered
from infra.stack.rendering import COMPOSE
from tests.infra.test_rendered import OVERLAYS, compose, needs_compose

FOLDERS = examples()
NAMES = [folder.name for folder in FOLDERS]


def test_there_is_an_example_of_each_kind() -> None:
    """A minimal bot, one with workers, with a ready-made image, a webhook, other stores."""
    assert NAMES == [
        "bot_on_managed_stores",
        "bot_on_three_servers",
        "bot_with_image",
        "bot_with_webhook",
        "bot_with_workers",
        "minimal_bot",
    ]


@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_what_is_committed_is_what_is_rendered(folder: Path) -> None:
    """After a change to a template or a default: python -m infra.stack.examples."""
    for path, text in rendered(folder).items():
        assert (folder / path).read_text(encoding="utf-8") == text, path


@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_nothing_else_lies_around(folder: Path) -> None:
    """Every file of an example is its declaration or rendered from it."""
    present = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert present - set(rendered(folder)) <= {"services.yml", "shared/spec/events.yaml"}


@needs_compose
@pytest.mark.parametrize("files", OVERLAYS.values(), ids=OVERLAYS)
@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_compose_accepts_it(folder: Path, files: tuple[str, ...]) -> None:
    """`docker compose config -q` takes every overlay of every example."""
    compose("config", "--quiet", files=files, cwd=folder)


@pytest.mark.parametrize("folder", [EXAMPLES.parents[1], *FOLDERS], ids=["ours", *NAMES])
def test_the_rendered_files_say_what_the_plan_says(folder: Path) -> None:
    """Parsed back, each Compose file is the plan and fits the Compose specification."""
    for name, file in compose_files(load_plan(folder / "services.yml")).items():
        path = COMPOSE.format(name)
        verify(path, (folder / path).read_text(encoding="utf-8"), file)
