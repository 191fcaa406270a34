"""What `make new` makes of a clone."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.forks.fork import Fork


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Fork:
    """A fork that no test changes."""
    return Fork(tmp_path_factory.mktemp("forks") / "fork")


def test_the_name_stands_everywhere(tmp_path: Path) -> None:
    """Database, its user, images, volumes, folders on servers, titles; Herald is a word of docs."""
    fork = Fork(tmp_path / "fork")
    fork.run("infra.new", "--name", "mybot")
    compose = (fork.root / "infra/compose.prod.yml").read_text(encoding="utf-8")
    assert "name: mybot\n" in compose
    assert "POSTGRES_USER: mybot" in compose
    assert "mybot/tg_bot@sha256:" in compose
    assert not re.search(r"\bherald\b(?!: )", compose)
    for path, line in (
        ("README.md", "# mybot"),
        ("AGENTS.md", "# Working on mybot"),
        ("deploy/inventories/group_data/all.py", 'root = "/srv/mybot"'),
        ("shared/spec/events.yaml", "  title: Events of mybot"),
    ):
        assert line in (fork.root / path).read_text(encoding="utf-8").splitlines()


def test_what_is_left_out_is_gone(tmp_path: Path) -> None:
    """The service, what only it asked for, and the suites that prove Herald by it."""
    fork = Fork(tmp_path / "fork")
    fork.run("infra.new", "--name", "mybot", "--without", "backend")
    assert not (fork.root / "services/backend").exists()
    fork.run("infra.stack", "sync", "--mode", "check")
    declared = (fork.root / "services.yml").read_text(encoding="utf-8")
    for word in ("name: backend", "postgres", "DEBUG_ENDPOINTS", "*log_level"):
        assert word not in declared
    assert "# An update that it cannot handle goes to the dead letters" in declared
    listed = fork.run("infra.dev.suites", "--help")
    assert "tg_bot" in listed
    assert "chaos" not in listed
    assert "demo," not in listed


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--name", "My Bot"), "name='My Bot' is no name of lower-case letters"),
        (("--name", "mybot", "--without", "backend,shop"), "without=shop is no service; there are"),
        (
            ("--name", "mybot", "--without", "backend tg_bot telegram_sim"),
            "no service would be left",
        ),
        ((), "the following arguments are required: --name"),
    ],
)
def test_a_wrong_call_is_told_and_changes_nothing(
    fork: Fork, words: tuple[str, ...], line: str
) -> None:
    """One line, before anything is written."""
    command = (sys.executable, "-m", "infra.new", *words)
    finished = subprocess.run(command, cwd=fork.root, check=False, capture_output=True, text=True)
    assert finished.returncode == 64, finished.stderr
    assert finished.stderr.splitlines()[-1].startswith(f"herald: {line}")
    assert fork.git("status", "--porcelain") == ""
