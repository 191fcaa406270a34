"""The agent's own rules, on folders of this machine: nothing here needs Docker."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.agent.cutover.guard import verdict
from deploy.agent.cutover.journal import Journal, Switch
from deploy.agent.cutover.smoke import undoing
from deploy.agent.host.errors import AgentError
from deploy.agent.host.layout import Layout, write_durably
from deploy.agent.host.secret_store import store
from deploy.ssh.bundle import agent, archive, digest


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """An empty project's folder."""
    made = Layout(tmp_path / "herald")
    made.prepare()
    return made


def test_a_cut_over_that_was_begun_is_followed_and_not_begun_again(
    layout: Layout, tmp_path: Path
) -> None:
    """A deployer that has lost its connection asks again under the same name."""
    program = tmp_path / "agent.pyz"
    program.write_bytes(agent())
    begin = (sys.executable, "-IS", str(program), "--root", str(layout.root), "begin", "none")
    for _ in range(2):
        done = subprocess.run((*begin, "--run", "one"), capture_output=True, text=True, check=False)
        assert done.returncode == 64
        assert "no release is called 'none'" in done.stdout
    audit = [json.loads(line) for line in layout.audit.read_text().splitlines()]
    assert [line["phase"] for line in audit] == ["refused"]


def test_a_journal_is_read_back_as_it_was_written(layout: Layout) -> None:
    """Every fact that undoing needs is in the file before anything is changed."""
    journal = Journal(
        "herald", "new", "old", "ada", switches=[Switch("bot", "overlap", 1, ["a"], ["a"])]
    )
    journal.save(layout.journal)
    assert Journal.load(layout.journal) == journal
    Journal.close(layout.journal)
    assert Journal.load(layout.journal) is None


def test_a_journal_of_an_older_agent_is_read(layout: Layout) -> None:
    """What it did not write down yet is as it was then: one container, and no data store."""
    switch = {"service": "bot", "handover": "overlap"}
    old = {"project": "herald", "release": "new", "before": "old", "who": "ada"}
    layout.journal.write_text(json.dumps({**old, "switches": [switch]}))
    journal = Journal.load(layout.journal)
    assert journal is not None
    assert journal.switches == [Switch("bot", "overlap", 1, [], [], "always", data=False)]
    assert (journal.phase, journal.smoke, journal.letters) == ("begun", "", None)


def test_data_stores_are_put_back_before_their_users() -> None:
    """Nothing else is healthy without them; of the rest, what stopped for its successor is next."""
    switches = [
        Switch("redis", "replace", data=True),
        Switch("web", "overlap"),
        Switch("page", "replace"),
        Switch("bot", "overlap"),
    ]
    stores, others = Journal("herald", "new", "old", "ada", switches=switches).backwards()
    assert [switch.service for switch in stores] == ["redis"]
    assert [switch.service for switch in others] == ["page", "bot", "web"]


def test_a_release_of_before_is_asked_to_undo_by_its_own_word() -> None:
    """What was released when the command was called `forget` can still be gone back to."""
    old, new = ["python", "-m", "backend.forget"], ["python", "-m", "backend.undo"]
    assert undoing({"forget": {"backend": old}}) == {"backend": old}
    assert undoing({"undo": {"backend": new}}) == {"backend": new}


def test_a_file_never_exists_with_another_mode(tmp_path: Path) -> None:
    """It has its mode when it gets its name; a half-written leftover is replaced."""
    path = tmp_path / "secret"
    (tmp_path / ".secret.new").write_text("left over")
    write_durably(path, b"text", 0o400)
    assert path.read_bytes() == b"text"
    assert path.stat().st_mode & 0o777 == 0o400
    assert [file.name for file in tmp_path.iterdir()] == ["secret"]


def test_secrets_are_stored_once_under_their_own_names(layout: Layout) -> None:
    """What is there already is not written again, and a path cannot lead elsewhere."""
    owner = {"uid": layout.root.stat().st_uid, "gid": layout.root.stat().st_gid}
    sent = {"../../TOKEN.1": {"text": "dGV4dA==", **owner}}
    assert store(layout, sent) == ["TOKEN.1"]
    assert store(layout, sent) == []
    assert (layout.secrets / "TOKEN.1").read_text() == "text"
    assert layout.secrets.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("kind", "old", "new", "expected"),
    [
        ("redis", (8, 0), (8, 2), ""),
        ("redis", (7, 4), (8, 0), ""),
        ("redis", (8, 2), (8, 0), "older"),
        ("postgres", (17, 1), (17, 0), ""),
        ("postgres", (17, 0), (18, 0), "cannot read"),
        ("postgres", (17, 0), (16, 9), "cannot read"),
    ],
)
def test_a_data_store_gets_no_version_that_cannot_read_its_files(
    kind: str, old: tuple[int, int], new: tuple[int, int], expected: str
) -> None:
    """Redis goes forward only; PostgreSQL stays within a major version."""
    said = verdict(kind, old, new)
    assert expected in said
    assert bool(said) == bool(expected)


def test_links_move_in_one_step(layout: Layout) -> None:
    """`current` points to a whole release or to none, and only releases that ran are kept."""
    for name in ("20260101T000000Z-a", "20260102T000000Z-b"):
        (layout.releases / name).mkdir()
        (layout.releases / name / "release.json").write_text("{}")
    assert layout.kept() == []
    (layout.releases / "20260101T000000Z-a" / "ran").touch()
    assert [path.name for path in layout.kept()] == ["20260101T000000Z-a"]
    assert layout.linked("current") is None
    layout.link("current", layout.releases / "20260101T000000Z-a")
    layout.link("current", layout.releases / "20260102T000000Z-b")
    assert layout.linked("current") == layout.releases / "20260102T000000Z-b"
    with pytest.raises(AgentError, match="kept are: 20260101T000000Z-a"):
        layout.release("../../etc")


def test_the_agent_is_one_file_that_needs_nothing_but_python(tmp_path: Path) -> None:
    """It runs isolated from every installed package, and is the same bytes each time."""
    agent.cache_clear()
    first = digest(agent())
    agent.cache_clear()
    assert digest(agent()) == first
    program = tmp_path / "agent.pyz"
    program.write_bytes(agent())
    command = (sys.executable, "-IS", str(program), "--root", str(tmp_path / "herald"))
    began = time.time()
    taken = subprocess.run(
        (*command, "--who", "ada", "lock", "--token", "t", "--seconds", "60"), check=False
    )
    assert taken.returncode == 0
    written = json.loads((tmp_path / "herald/state/lock.json").read_text())
    assert written["expires"] > began
    refused = subprocess.run(
        (*command, "follow", "--run", "none"), capture_output=True, check=False
    )
    assert refused.returncode == 64
    assert b"Traceback" not in refused.stderr


def test_an_archive_unpacks_to_its_files(tmp_path: Path) -> None:
    """A release is one bundle."""
    unpack = ("tar", "-xzf", "-", "-C", str(tmp_path))
    subprocess.run(unpack, input=archive({"compose.yml": b"a", "release.json": b"b"}), check=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "compose.yml": b"a",
        "release.json": b"b",
    }
