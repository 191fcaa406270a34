"""A change of the specs that breaks readers of events fails, with its place; any other passes."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from infra.codegen.breaking.__main__ import main

CASES = YAML(typ="safe").load(Path(__file__).with_name("breaking.yaml"))

MODELS = "shared/spec/models.yaml"
EVENTS = "shared/spec/events.yaml"

MODELS_BEFORE = """\
$schema: https://json-schema.org/draft/2020-12/schema
$defs:
  Order:
    description: An order.
    type: object
    required: [number, kind, lines]
    properties:
      number: {type: integer, minimum: 1, maximum: 900}
      kind: {type: string, enum: [small, large]}
      placed_at: {type: string, format: date-time}
      note: {type: string, maxLength: 80, pattern: "^[a-z]"}
      leaving: {type: string, deprecated: true}
      lines: {type: array, items: {$ref: "#/$defs/Line"}}
  Line:
    description: A line of an order.
    type: object
    required: [item]
    additionalProperties: false
    properties:
      item: {type: string}
      parent: {$ref: "#/$defs/Line"}
  Unrelated:
    description: A model of no event.
    type: object
    properties:
      x: {type: string}
  Loss:
    description: An order was lost.
    type: object
"""
EVENTS_BEFORE = """\
asyncapi: 3.0.0
info: {title: Events, version: 1.0.0}
defaultContentType: application/cloudevents+json
channels:
  order_placed:
    address: order_placed
    messages:
      OrderPlaced: {$ref: "#/components/messages/OrderPlaced"}
  order_lost:
    address: order_lost
    x-deprecated: true
    messages:
      OrderLost: {payload: {$ref: models.yaml#/$defs/Loss}}
components:
  messages:
    OrderPlaced: {payload: {$ref: models.yaml#/$defs/Order}}
"""


def git(root: Path, *arguments: str) -> str:
    """Run git in a repository, as somebody who has no configuration."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(root), "GIT_CONFIG_NOSYSTEM": "1"}
    finished = subprocess.run(
        ("git", "-c", "user.name=Test", "-c", "user.email=test@example.org", *arguments),
        cwd=root,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return finished.stdout.strip()


def commit(root: Path) -> str:
    """Commit everything and return the commit."""
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "Change")
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """A git repository whose branch `before` holds the specs above."""
    (tmp_path / MODELS).parent.mkdir(parents=True)
    (tmp_path / MODELS).write_text(MODELS_BEFORE)
    (tmp_path / EVENTS).write_text(EVENTS_BEFORE)
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    commit(tmp_path)
    git(tmp_path, "branch", "before")
    return tmp_path


@pytest.fixture
def edit(history: Path) -> Callable[[str, str], None]:
    """Replace text that is there once, in whichever of the two specs has it."""

    def change(old: str, new: str) -> None:
        (path,) = (
            history / name for name in (MODELS, EVENTS) if old in (history / name).read_text()
        )
        assert path.read_text().count(old) == 1
        path.write_text(path.read_text().replace(old, new))

    return change


@pytest.mark.parametrize("name", CASES["breaks"])
def test_it_breaks_readers(
    history: Path,
    edit: Callable[[str, str], None],
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    """Exit status 1 and one line: file, line, column, field, and what is wrong with it."""
    case = CASES["breaks"][name]
    edit(case["old"], case["new"])
    assert main(["before"], history) == 1
    base = git(history, "rev-parse", "before")[:12]
    output = capsys.readouterr()
    lines = output.out.splitlines()
    assert f"shared/spec/{case['says'].replace('{base}', base)}" in lines
    assert len(lines) == 1 or name == "the payload is another model"
    assert "since before break" in output.err
    assert "a channel of its own" in output.err


@pytest.mark.parametrize("name", CASES["passes"])
def test_readers_do_not_notice(
    history: Path,
    edit: Callable[[str, str], None],
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    """Exit status 0 and no word."""
    case = CASES["passes"][name]
    edit(case["old"], case["new"])
    assert main(["before"], history) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", CASES["notes"])
def test_readers_must_be_deployed_first(
    history: Path,
    edit: Callable[[str, str], None],
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    """What only lets more in passes, with a note about the order."""
    case = CASES["notes"][name]
    edit(case["old"], case["new"])
    assert main(["before"], history) == 0
    output = capsys.readouterr()
    assert f"shared/spec/{case['says']}; deploy readers before writers" in output.out.splitlines()
    assert output.err == ""


def test_every_break_is_reported_at_once(
    history: Path, edit: Callable[[str, str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """One line each, and how many there are."""
    edit("minimum: 1", "minimum: 2")
    edit("format: date-time", "format: date")
    edit("[small, large]", "[large, huge]")
    assert main(["before"], history) == 1
    output = capsys.readouterr()
    assert len(output.out.splitlines()) == 4
    assert "3 changes since before break readers" in output.err


def test_what_the_other_side_added_since_is_not_missed(
    history: Path, edit: Callable[[str, str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Compared is the common commit: a field that main got after the branch left is not removed."""
    git(history, "checkout", "--quiet", "-b", "feature")
    git(history, "checkout", "--quiet", "main")
    edit("      note: {", "      new: {type: string}\n      note: {")
    commit(history)
    git(history, "checkout", "--quiet", "feature")
    assert main(["main"], history) == 0
    assert capsys.readouterr() == ("", "")


def test_a_base_without_events_has_no_readers(
    history: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first events of a repository break nobody."""
    git(history, "checkout", "--quiet", "--orphan", "empty")
    git(history, "rm", "-r", "--quiet", "--cached", ".")
    git(history, "commit", "--quiet", "--allow-empty", "--message", "Nothing")
    assert main(["HEAD"], history) == 0
    assert "no events at HEAD" in capsys.readouterr().out


def test_a_repository_inside_another_is_compared_with_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Paths are those below the root, wherever git's own root is."""
    inner = tmp_path / "inner"
    (inner / MODELS).parent.mkdir(parents=True)
    (inner / MODELS).write_text(MODELS_BEFORE)
    (inner / EVENTS).write_text(EVENTS_BEFORE)
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    (inner / MODELS).write_text(MODELS_BEFORE.replace("minimum: 1", "minimum: 2"))
    assert main(["HEAD"], inner) == 1
    assert "minimum was 1 and is 2" in capsys.readouterr().out


@pytest.mark.parametrize("revision", ["nowhere", "--help-me", "HEAD~99", ""])
def test_a_revision_that_git_does_not_know_is_exit_64(
    history: Path, revision: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that says how to get it, not git's own."""
    assert main(["--", revision], history) == os.EX_USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert repr(revision) in line
    assert "git fetch" in line


def test_a_folder_without_history_is_exit_64(
    history: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unpacked archive has nothing to compare with, even if it lies inside a repository."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(history.parent))
    (history / ".git").rename(history / "no-git")
    assert main(["HEAD"], history) == os.EX_USAGE
    assert "no git repository" in capsys.readouterr().err


def test_a_spec_that_cannot_be_read_is_exit_65(
    history: Path, edit: Callable[[str, str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its own faults come first: those of now, or those at the base."""
    edit("type: object\n    properties:\n      x", "type: objekt\n    properties:\n      x")
    assert main(["before"], history) == os.EX_DATAERR
    assert f"{MODELS}:24:5: " in capsys.readouterr().err
    base = commit(history)
    edit("type: objekt", "type: object")
    assert main(["HEAD"], history) == os.EX_DATAERR
    assert f"{base[:12]}:{MODELS}:24:5: " in capsys.readouterr().err


def test_the_command_reads_this_repository() -> None:
    """As `make events-breaking` calls it; compared with itself nothing breaks."""
    assert main(["HEAD"]) == os.EX_OK
