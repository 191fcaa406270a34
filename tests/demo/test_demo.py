"""`make demo` as its user sees it: a transcript, an exit code, nothing left behind."""

import json
import re
import signal
import urllib.request
from pathlib import Path

import pytest

from tests.demo.running import at_a_terminal, started, wait_for_processes


def test_the_demo_follows_each_command_to_its_row(folder: Path) -> None:
    """Without a terminal it prints the whole transcript, exits 0 and leaves nothing behind."""
    with started(folder) as demo:
        out, err = demo.communicate(timeout=90)
    assert demo.returncode == 0, err
    for part in (
        "/start",
        "Hello, Ada! You are registered.",
        "/help",
        "/command test arg1 arg2",
        "/command привет 🚀",
        "Command published!",
        "XREAD STREAMS command_received",
        '"specversion":"1.0"',
        "command_received",
        "by backend",
        "SQL commands",
        "hello",
        "2 events: each in its stream once, handled by all its readers.",
    ):
        assert part in out
    first, second, *_ = out.splitlines()
    assert first.startswith("Herald chat page: http://127.0.0.1:")
    assert re.fullmatch(r" +console:   http://127\.0\.0\.1:\d+/console/", second)
    assert err == ""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_no_process_and_no_file(folder: Path, signum: signal.Signals) -> None:
    """Ctrl-C or SIGTERM in the middle ends everything that was started."""
    with started(folder) as demo:
        wait_for_processes(folder, 4)
        demo.send_signal(signum)
        demo.communicate(timeout=30)
    assert demo.returncode == 128 + signum


def test_the_console_is_where_the_demo_says(folder: Path) -> None:
    """The address in its second line answers, and shows the demo's own events."""
    with at_a_terminal(folder) as terminal:
        terminal.read_until("console:")
        console = terminal.read_until("/console/").strip()
        terminal.read_until("Ctrl-C ends the demo")
        with urllib.request.urlopen(f"{console}api/standing") as answer:  # noqa: S310 — http
            streams = {it["stream"]: it for it in json.load(answer)["streams"]}
        assert streams["command_received"]["entries"] == 2


def test_at_a_terminal_it_stays_as_a_chat(folder: Path) -> None:
    """A person can write on, sees the answer, and Ctrl-C ends it with 0 and nothing left."""
    with at_a_terminal(folder) as terminal:
        terminal.read_until("Ctrl-C ends the demo")
        terminal.write("/command typed by hand")
        terminal.read_until('"args":["typed","by","hand"]')
        terminal.program.send_signal(signal.SIGINT)
        assert terminal.program.wait(30) == 0


def test_the_prompt_shows_logs(folder: Path) -> None:
    """Enter shows what was logged since the last time, `:log SERVICE` the end of one log."""
    with at_a_terminal(folder) as terminal:
        terminal.read_until("Ctrl-C ends the demo")
        terminal.write("/command x")
        terminal.read_until("by backend")
        terminal.write("")
        terminal.read_until("events handled")
        terminal.write(":log tg_bot")
        terminal.read_until("bot started")
        terminal.write(":log nobody")
        terminal.read_until(
            "no service is called 'nobody'; there are: redis, backend, telegram_sim, tg_bot"
        )
