"""A template that goes wrong is noticed before its output replaces anything."""

from pathlib import Path

import pytest

from infra.stack import load_plan
from infra.stack.compose.documents import Document, compose_files
from infra.stack.compose.verification import RenderingError, verify
from infra.stack.rendering import render
from tests.infra.stack import STACK

ROOT = Path(__file__).resolve().parents[2]
TEXT = render(load_plan(STACK), ROOT).texts["infra/compose.prod.yml"]


@pytest.fixture
def file() -> Document:
    """What the prod file has to say."""
    return compose_files(load_plan(STACK))["prod"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("read_only: true", "read_only: false", "services.redis.read_only is False"),
        ("    init: true\n", "", "services.redis.init is missing"),
        ("internal: true", "internal: yes-please", "internal is 'yes-please'"),
        ("retries: 12", 'retries: "12"', "retries is '12' and should be 12"),
        ("  postgres:", "  redis:", "a key stands twice"),
        ("services:", "services: [", "wrote no YAML"),
        ("restart: always", "restart: always\n    privileged: true", "too much"),
    ],
)
def test_a_wrong_template_is_told_with_the_place(
    old: str, new: str, said: str, file: Document
) -> None:
    """Whatever differs from the plan, in value, type or presence, is an error."""
    assert old in TEXT
    with pytest.raises(RenderingError, match=r"compose\.prod\.yml") as caught:
        verify("infra/compose.prod.yml", TEXT.replace(old, new, 1), file)
    assert said in str(caught.value)


def test_the_right_text_passes(file: Document) -> None:
    """What the templates write is the plan."""
    verify("infra/compose.prod.yml", TEXT, file)
