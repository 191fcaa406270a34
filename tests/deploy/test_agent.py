"""The agent's own rules, on folders of this machine: nothing here needs Docker."""

import fcntl
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from deploy.agent.cutover.guard import verdict
from deploy.agent.cutover.journal import Journal, Switch
from deploy.agent.host import lock
from deploy.agent.host.layout import AgentError, Layout, write_durably
from deploy.agent.host.secret_store import store
from deploy.release.bundle import agent, archive, digest


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """An empty project's folder."""
    made = Layout(tmp_path / "herald")
    made.prepare()
    return made


def test_a_second_deployer_is_told_who_holds_the_lock(layout: Layout) -> None:
    """The first one may renew it; the second gets exit code 75 and the reason."""
    lock.acquire(layout, "one", "ada", "release day", 60)
    lock.acquire(layout, "one", "ada", "release day", 60)
    with pytest.raises(AgentError, match=r"locked by ada since .*release day") as refused:
        lock.acquire(layout, "two", "bob", "hurry", 60)
    assert refused.value.code == 75
    assert lock.release(layout, "two") is None
    assert lock.release(layout, "one") is not None
    lock.acquire(layout, "two", "bob", "hurry", 60)


def test_the_lock_of_a_dead_deployer_runs_out(layout: Layout) -> None:
    """Without a heartbeat it is somebody else's after its time; one without a time stays."""
    lock.acquire(layout, "dead", "ada", "deploy", -1)
    assert lock.holder(layout) is None
    lock.acquire(layout, "two", "bob", "by hand", None)
    found = lock.holder(layout)
    assert found is not None
    assert "does not expire" in lock.describe(found)


def test_two_cut_overs_cannot_run_at_once(layout: Layout) -> None:
    """The kernel's lock is refused while it is held and free when its holder has ended."""
    with lock.flock(layout, lock.CUT_OVER, wait=False):
        assert lock.busy(layout)
        with (
            pytest.raises(AgentError, match="under way"),
            lock.flock(layout, lock.CUT_OVER, wait=False),
        ):
            pass
    assert not lock.busy(layout)


def test_a_look_at_the_lock_keeps_no_cut_over_from_starting(layout: Layout) -> None:
    """Whoever asks whether one is under way holds the kernel's lock for a moment."""
    with (layout.state / lock.CUT_OVER).open("a") as look:
        fcntl.flock(look, fcntl.LOCK_SH)
        assert not lock.busy(layout)
        ends = threading.Timer(0.3, fcntl.flock, (look, fcntl.LOCK_UN))
        ends.start()
        with lock.flock(layout, lock.CUT_OVER, wait=False):
            assert lock.busy(layout)
        ends.join()


def test_a_cut_over_that_was_begun_is_followed_and_not_begun_again(
    layout: Layout, tmp_path: Path
) -> None:
    """A deployer that has lost its connection asks again under the same name."""
    program = tmp_path / "agent.pyz"
    program.write_bytes(agent())
    begin = (sys.executable, "-IS", str(program), "--root", str(layout.root), "begin", "none")
    for _ in range(2):
        told = subprocess.run((*begin, "--run", "one"), capture_output=True, text=True, check=False)
        assert told.returncode == 64
        assert "no release is called 'none'" in told.stdout
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


def test_a_file_never_exists_with_another_mode(tmp_path: Path) -> None:
    """It has its mode when it gets its name; a half-written leftover is replaced."""
    path = tmp_path / "secret"
    (tmp_path / ".secret.new").write_text("left over")
    write_durably(path, b"text", 0o400)
    assert path.read_bytes() == b"text"
    assert path.stat().st_mode & 0o777 == 0o400
    assert [found.name for found in tmp_path.iterdir()] == ["secret"]


def test_secrets_are_stored_once_under_their_own_names(layout: Layout) -> None:
    """What is there already is not written again, and a path cannot lead elsewhere."""
    owner = {"uid": layout.root.stat().st_uid, "gid": layout.root.stat().st_gid}
    sent = {"../../TOKEN.1": {"text": "dGV4dA==", **owner}}
    assert store(layout, sent) == ["TOKEN.1"]
    assert store(layout, sent) == []
    assert (layout.secrets / "TOKEN.1").read_text() == "text"
    assert layout.secrets.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("kind", "old", "new", "told"),
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
    kind: str, old: tuple[int, int], new: tuple[int, int], told: str
) -> None:
    """Redis goes forward only; PostgreSQL stays within a major version."""
    said = verdict(kind, old, new)
    assert told in said
    assert bool(said) == bool(told)


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
    found = json.loads((tmp_path / "herald/state/lock.json").read_text())
    assert found["expires"] > began
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
