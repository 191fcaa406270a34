"""`make events`: what lands in the streams is shown as it lands, whatever breaks meanwhile."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.generated.events import command_received
from shared.generated.schemas import CommandReceived
from shared.streams import EventRefusedError, StreamBroker
from shared.tail.entries import since, users_of
from tests.conditions import eventually
from tests.servers import RedisServer
from tests.terminal import Terminal, opened

TAIL = (sys.executable, "-m", "shared.tail")
NOW = datetime.now(UTC)


async def publish(broker: StreamBroker, event_id: str, user: int = 1, text: str = "/a") -> None:
    """Publish a command."""
    event = CommandReceived(command=text, args=[], user_id=user, timestamp=NOW)
    await broker.publish_event(command_received, event, event_id=event_id)


async def refuse(broker: StreamBroker) -> None:
    """Put an event into the dead letters, with a reason that could steer a terminal."""
    with pytest.raises(EventRefusedError):
        await broker.refuse_event(command_received, {}, event_id="bad", reason="of \x1b[2J no use")


class Following:
    """The tool as a process; what it has printed is in `lines` and `errors`."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path, errors: Path) -> None:
        self.process, self._output, self._errors = process, output, errors

    @property
    def lines(self) -> list[str]:
        """Return the lines of its output."""
        return self._output.read_text().splitlines()

    @property
    def errors(self) -> str:
        """Return what it has said of itself."""
        return self._errors.read_text()

    def ids(self) -> list[str]:
        """Return the event ids of the JSON lines."""
        return [json.loads(line)["event_id"] for line in self.lines]

    async def until_shown(self, *ids: str) -> None:
        """Return when events are shown, these and no others."""
        await eventually(lambda: self.ids() == list(ids), 60)

    async def ended(self) -> int:
        """Return the exit code."""
        await eventually(lambda: self.process.poll() is not None, 60)
        return int(self.process.returncode)


@contextmanager
def following(folder: Path, url: str, *arguments: str, **options: Any) -> Iterator[Following]:
    """Run the tool with its output in files."""
    output, errors = folder / "output", folder / "errors"
    env = {**os.environ, "REDIS_URL": url}
    with (
        output.open("wb") as out,
        errors.open("wb") as err,
        subprocess.Popen(
            (*TAIL, *arguments), env=env, stdout=out, stderr=err, **options
        ) as process,
    ):
        try:
            yield Following(process, output, errors)
        finally:
            process.kill()


async def test_entries_are_shown_as_they_land_and_chosen_by_event_user_and_time(
    broker: StreamBroker, redis_server: RedisServer, tmp_path: Path
) -> None:
    """`json=1` gives one object a line, dead letters among them; SIGINT ends with 0."""
    await publish(broker, "42:1", user=1)
    await publish(broker, "42:2", user=2)
    await refuse(broker)
    redis_server.client().xadd("telegram_update", {"__data__": '{"id": "u", "data": {}}'})
    chosen = {
        "all": ((), ["42:1", "42:2", "bad", "u", "42:3"]),
        "one's": (("--user", "2"), ["42:2"]),
        "of another event": (("--event", "telegram_update"), ["u"]),
    }
    for name, (arguments, ids) in chosen.items():
        folder = tmp_path / name
        folder.mkdir()
        with following(folder, redis_server.url, "--json", "--since", "1h", *arguments) as tail:
            if "42:3" in ids:
                await tail.until_shown(*ids[:-1])
                await publish(broker, "42:3", user=1)
            await tail.until_shown(*ids)
            tail.process.send_signal(signal.SIGINT)
            assert await tail.ended() == 0
            assert tail.ids() == ids
    (first, _, letter, *_) = map(json.loads, (tmp_path / "all/output").read_text().splitlines())
    assert (first["data"]["command"], first["source"]) == ("/a", "/tests")
    assert (letter["stream"], letter["reason"]) == ("command_received", "of \x1b[2J no use")


async def test_following_goes_on_when_redis_is_back(
    broker: StreamBroker, redis_server: RedisServer, tmp_path: Path
) -> None:
    """That it is away is said once, that it is back too, and nothing is shown twice."""
    with following(tmp_path, redis_server.url, "--json", "--since", "1h") as tail:
        await publish(broker, "42:1")
        await tail.until_shown("42:1")
        redis_server.kill()
        await eventually(lambda: "Redis does not answer; trying again" in tail.errors)
        redis_server.start()
        await publish(broker, "42:2")
        await tail.until_shown("42:1", "42:2")
        assert tail.errors.count("trying again") == 1
        assert tail.errors.count("Redis answers again") == 1


async def test_a_process_elsewhere_that_ends_is_started_again(
    broker: StreamBroker, redis_server: RedisServer, tmp_path: Path
) -> None:
    """It goes on behind what was seen; the address goes in by its input, whose end ends it."""
    inside = (*TAIL, "--json", "--status", "--url-from-input", "--after", "{after}")
    script = f'echo $$ >> {tmp_path}/pids; exec "$@"'
    through = ("sh", "-c", script, "sh", *inside, "--since", "1h")
    with following(tmp_path, redis_server.url, "--json", "--through", *through) as tail:
        await publish(broker, "42:1")
        await tail.until_shown("42:1")
        first = int((tmp_path / "pids").read_text())
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: "has ended; trying again" in tail.errors)
        await publish(broker, "42:2")
        await tail.until_shown("42:1", "42:2")
        second = int((tmp_path / "pids").read_text().split()[1])
        tail.process.terminate()
        assert await tail.ended() == 0
        await eventually(lambda: not Path(f"/proc/{second}").exists())


async def test_a_terminal_shows_lag_and_ctrl_c_is_a_good_end(
    broker: StreamBroker, redis_server: RedisServer, tmp_path: Path
) -> None:
    """The last line tells of lag, pending entries and dead letters; no text steers the terminal."""
    client = redis_server.client()
    client.xgroup_create("command_received", "backend", id="0", mkstream=True)
    await publish(broker, "42:1", text="/a \x1b[2J привет")
    await refuse(broker)
    for plain in ("", "1"):
        with at_a_terminal({"REDIS_URL": redis_server.url, "NO_COLOR": plain}) as (seen, type_):
            assert seen.read_until(r"\u001b[2J привет")
            assert seen.read_until(r"dead letter: of \x1b[2J no use")
            assert seen.read_until("backend lag 1 (")
            assert seen.read_until("pending 0 · dead letters 1")
            type_(b"\x03")
            assert await asyncio.to_thread(seen.program.wait, 60) == 0


@contextmanager
def at_a_terminal(
    variables: dict[str, str],
) -> Iterator[tuple[Terminal, Callable[[bytes], object]]]:
    """Run the tool at a terminal of its own; gives that, and what presses keys."""
    with opened() as (controller, terminal):
        streams: Any = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
        command, env = (*TAIL, "--since", "1h"), {**os.environ, **variables}
        with subprocess.Popen(command, env=env, text=True, **streams) as process:
            try:
                yield Terminal(process, controller), lambda pressed: os.write(controller, pressed)
            finally:
                process.kill()


async def test_colours_are_for_a_terminal_that_wants_them(
    broker: StreamBroker, redis_server: RedisServer, tmp_path: Path
) -> None:
    """A file gets lines without them, and no status."""
    await publish(broker, "42:1")
    with following(tmp_path, redis_server.url, "--since", "1h") as tail:
        await eventually(lambda: len(tail.lines) == 1)
        (line,) = tail.lines
        assert line.endswith("/tests 42:1")
        assert "\x1b" not in line


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--event", "nonsense"), "no event is called 'nonsense'; there are: command_received"),
        (("--user", "ada"), "user=ada is no user id"),
        (("--since", "yesterday"), "since=yesterday is no time: write 30s, 10min, 2h, 1d or"),
    ],
)
def test_wrong_usage_is_one_line(arguments: tuple[str, ...], why: str) -> None:
    """With the exit code of wrong usage."""
    done = subprocess.run((*TAIL, *arguments), check=False, capture_output=True, text=True)
    assert done.returncode == os.EX_USAGE
    assert done.stderr.startswith(f"events: {why}")
    assert len(done.stderr.splitlines()) == 1


def test_a_command_that_cannot_follow_says_why() -> None:
    """Its last line and its exit code are ours."""
    through = ("--through", "sh", "-c", "echo no container runs >&2; exit 69")
    done = subprocess.run((*TAIL, *through), check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (os.EX_UNAVAILABLE, "events: no container runs\n")


def test_times_and_users_are_read() -> None:
    """`30s`, `10min`, `2h` and `1d` count back; a user is found wherever an update names it."""
    now = datetime(2026, 1, 31, 12, tzinfo=UTC)
    for text, ago in {"30s": 30, "10min": 600, "2h": 7200, "1d": 86400}.items():
        moment = (now - timedelta(seconds=ago)).timestamp() * 1000
        assert since(text, now).startswith(f"{moment - 1:.0f}-")
    assert since("2026-01-31T12:00:00+00:00", now).startswith(f"{now.timestamp() * 1000 - 1:.0f}-")
    update = {"update": {"message": {"from": {"id": 7}, "chat": {"id": 8}}}}
    assert (users_of(update), users_of({"user_id": 9})) == ({7}, {9})


def test_an_interrupt_at_the_very_beginning_is_no_error(tmp_path: Path) -> None:
    """Ctrl-C at `make events` while the tool still imports, of which Python tells, ends both."""
    said = tmp_path / "said"
    command = (sys.executable, "-m", "infra.dev.events")
    env = {**os.environ, "REDIS_URL": "redis://127.0.0.1:1", "PYTHONPROFILEIMPORTTIME": "1"}
    with (
        said.open("wb") as file,
        subprocess.Popen(command, stderr=file, env=env, start_new_session=True) as process,
    ):
        while not re.search(r"\| +pydantic_core\n", said.read_text()):
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) in {0, 130}
    assert "Traceback" not in said.read_text()
