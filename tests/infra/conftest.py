"""A repository in a temporary folder: one declared event and a services.yml that a test writes."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).resolve().parents[2]

EVENTS = """
asyncapi: 3.0.0
info: {title: Events, version: 1.0.0}
channels:
  command_received: {address: command_received, description: A command of a user.}
  reminder_due: {address: reminder_due}
"""

MINIMAL = """
version: 1
project: demo
services:
  - name: worker
    type: python
"""


@pytest.fixture
def repository(tmp_path: Path) -> Callable[..., Path]:
    """Write services.yml (and the events) into a folder of the test; return its path."""

    def write(text: str = MINIMAL, events: str | None = EVENTS) -> Path:
        if events is not None:
            spec = tmp_path / "shared" / "spec" / "events.yaml"
            spec.parent.mkdir(parents=True, exist_ok=True)
            spec.write_text(events, encoding="utf-8")
        path = tmp_path / "services.yml"
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    return write
