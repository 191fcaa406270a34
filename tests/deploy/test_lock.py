"""Who may deploy: the lock of a deployer, and the kernel's of a cut-over; nothing needs Docker."""

import fcntl
import threading
import time
from pathlib import Path

import pytest

from deploy.agent.host import lock
from deploy.agent.host.errors import AgentError
from deploy.agent.host.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """An empty project's folder."""
    made = Layout(tmp_path / "herald")
    made.prepare()
    return made


def test_a_second_deployer_is_told_who_holds_the_lock(layout: Layout) -> None:
    """The first one may renew it; the second gets exit code 75 and the reason."""
    lock.take(layout, "one", "ada", "release day", 60)
    lock.take(layout, "one", "ada", "release day", 60)
    with pytest.raises(AgentError, match=r"locked by ada since .*release day") as refused:
        lock.take(layout, "two", "bob", "hurry", 60)
    assert refused.value.code == 75
    assert lock.give_back(layout, "two") is None
    assert lock.give_back(layout, "one") is not None
    lock.take(layout, "two", "bob", "hurry", 60)


def test_the_lock_of_a_dead_deployer_runs_out(layout: Layout) -> None:
    """Without a heartbeat it is somebody else's after its time; one without a time stays."""
    lock.take(layout, "dead", "ada", "deploy", -1)
    assert lock.holder(layout) is None
    lock.take(layout, "two", "bob", "by hand", None)
    held = lock.holder(layout)
    assert held is not None
    assert "does not expire" in lock.describe(held)


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


@pytest.mark.parametrize("hours", [-48, 48])
def test_a_clock_that_jumps_changes_nothing_about_a_lock(
    hours: int, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither does a dead deployer's last for days, nor does a living one's run out."""
    lock.take(layout, "dead", "ada", "deploy", 0.05)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + hours * 3600)
    time.sleep(0.06)
    assert lock.holder(layout) is None
    lock.take(layout, "living", "bob", "deploy", 60)
    monkeypatch.setattr(time, "time", lambda: now)
    held = lock.holder(layout)
    assert held is not None
    assert "expires in 60 s" in lock.describe(held)


def test_a_lock_ends_with_the_boot_that_it_was_taken_in(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The time since a boot begins anew; a lock by hand stays all the same."""
    lock.take(layout, "dead", "ada", "deploy", 60)
    (tmp_path / "boot_id").write_text("another\n")
    monkeypatch.setattr(lock, "BOOT", tmp_path / "boot_id")
    assert lock.holder(layout) is None
    lock.take(layout, "by hand", "bob", "release day", None)
    monkeypatch.undo()
    assert lock.holder(layout) is not None
