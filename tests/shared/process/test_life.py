"""A process ends with one line and an exit code, and never with half of its work."""

import asyncio
import json
import os
import signal
import sys

import pytest

from shared.process import unless_stopped, until_one_ends
from tests.conditions import eventually
from tests.processes import Service

MODULE = "tests.shared.process.a_service"


def service(**variables: str) -> Service:
    """Return the service of these tests, which runs while the context lasts."""
    return Service(MODULE, PYTHONPATH=":".join(sys.path), **variables)


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_it_and_it_exits_0(name: signal.Signals) -> None:
    """What it was at is given up, it drains, and says that it has stopped."""
    with service(END="stop") as running:
        await eventually(lambda: "started" in running.log)
        os.kill(running.pid, name)
        assert await asyncio.to_thread(running.wait) == 0
        assert '"done": false' in running.log
        assert '"event": "stopped"' in running.log


async def test_no_collection_walks_through_what_is_imported() -> None:
    """It is a hundred thousand objects, and none of them is garbage as long as the process runs."""
    with service(END="stop") as running:
        await eventually(lambda: "frozen" in running.log)
        objects = json.loads(next(it for it in running.log.splitlines() if "frozen" in it))
    assert objects["frozen"] > 10 * objects["walked"]


@pytest.mark.parametrize(
    ("end", "code", "event", "reason"),
    [
        ("fail", 1, "the process cannot go on", "the reason"),
        ("port", 69, "cannot start", "taken"),
        ("setup", 78, "cannot start", "two of one name"),
    ],
)
async def test_what_is_found_out_later_is_one_line_of_the_log_and_a_code(
    end: str, code: int, event: str, reason: str
) -> None:
    """In the form of every other line, without a traceback."""
    with service(END=end) as running:
        assert await asyncio.to_thread(running.wait) == code
        last = json.loads(running.log.splitlines()[-1])
        assert (last["event"], last["reason"], last["service"]) == (event, reason, "a_service")
        assert "Traceback" not in running.log


@pytest.mark.parametrize(
    ("end", "line"),
    [
        ("settings", "a_service: END is wrong: nobody wants it"),
        ("nonsense", "a_service: END is wrong: Input should be"),
        ("", "a_service: END is missing: set it in .env or the environment"),
    ],
)
async def test_a_wrong_setting_is_one_line_and_exit_78(end: str, line: str) -> None:
    """Whether it is seen at once or by what it leads to."""
    with service(END=end) as running:
        assert await asyncio.to_thread(running.wait) == 78
        assert running.log.splitlines()[-1].startswith(line)
        assert "Traceback" not in running.log


async def test_a_bug_is_a_traceback_and_exit_1() -> None:
    """Nobody but us can mend it."""
    with service(END="bug") as running:
        assert await asyncio.to_thread(running.wait) == 1
        assert "RuntimeError: a bug" in running.log


async def test_no_secret_of_the_settings_is_logged() -> None:
    """Neither a secret nor the password inside an address, as it is written or as it is meant."""
    with service(END="fail") as running:
        await asyncio.to_thread(running.wait)
        assert "started" in running.log
        for secret in ("a-secret-token", "a%20password", "a password"):
            assert secret not in running.log


async def test_work_that_ends_before_the_stop_is_done() -> None:
    """It says so, and raises what the work raised."""
    stop = asyncio.Event()
    assert await unless_stopped(stop, asyncio.sleep(0))
    with pytest.raises(ZeroDivisionError):
        await unless_stopped(stop, failing())


async def test_work_is_given_up_at_the_stop() -> None:
    """It is cancelled, and has ended when the answer is there."""
    stop, given_up = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            given_up.set()

    asyncio.get_running_loop().call_soon(stop.set)
    assert not await unless_stopped(stop, work())
    assert given_up.is_set()


async def test_the_first_end_ends_all() -> None:
    """What it raised is raised, and nothing of the rest is left behind."""
    before = asyncio.all_tasks()
    with pytest.raises(ZeroDivisionError):
        await until_one_ends(asyncio.sleep(60), failing(), asyncio.sleep(60))
    await until_one_ends(asyncio.sleep(60), asyncio.sleep(0))
    assert asyncio.all_tasks() == before


async def failing() -> None:
    """Fail after a turn."""
    await asyncio.sleep(0)
    raise ZeroDivisionError
