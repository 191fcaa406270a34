"""What `python -m shared.tail` does: show what lands in the streams, until Ctrl-C.

Reads from the Redis at REDIS_URL, or has a command do so that follows `--through`.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

from shared.dead_letters import STREAMS, as_json, say
from shared.settings import RedisUrl, SettingsError, exit_with, load_settings
from shared.tail.entries import Content, Wanted, since
from shared.tail.follow import Begin, EndedError, connection, from_process, from_redis
from shared.tail.screen import Screen, keys
from shared.tail.shown import Look

NAME = "events"


class Settings(BaseModel):
    """The tool's one variable."""

    model_config = ConfigDict(frozen=True)

    redis_url: RedisUrl


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; wrong usage exits with EX_USAGE (64)."""
    parser = argparse.ArgumentParser(prog=NAME, description=__doc__)
    parser.add_argument("--event", default="", help="only this event's stream and dead letters")
    parser.add_argument("--user", default="", help="only what names this user")
    parser.add_argument("--since", default="", help="from then on: 10min, 2h or an ISO 8601 time")
    parser.add_argument("--json", action="store_true", help="JSON, one object a line")
    parser.add_argument("--status", action="store_true", help="with --json: every message")
    parser.add_argument("--after", default="{}", help="places to go on behind, as JSON")
    parser.add_argument("--url-from-input", action="store_true", help="the end of it ends this")
    parser.add_argument("--through", nargs=argparse.REMAINDER, help="a command that does this")
    try:
        options = parser.parse_args(arguments)
        check(options)
    except ValueError as error:
        say(f"{NAME}: {error}", sys.stderr)
        raise SystemExit(os.EX_USAGE) from None
    except SystemExit as stop:
        raise SystemExit(os.EX_USAGE if stop.code else os.EX_OK) from None
    return options


def check(options: argparse.Namespace) -> None:
    """Raise ValueError where an option's value is none."""
    if options.event and options.event not in STREAMS:
        known = ", ".join(sorted(STREAMS))
        raise ValueError(f"no event is called {options.event!r}; there are: {known}")
    if options.user and not options.user.isdecimal():
        raise ValueError(f"user={options.user} is no user id, which is a number")
    if options.since:
        since(options.since, datetime.now(UTC))


def messages(options: argparse.Namespace) -> AsyncGenerator[Content]:
    """Return what happens, from where the options say."""
    if options.through is not None:
        return from_process(options.through, os.environ.get("REDIS_URL", ""))
    wanted = Wanted(options.event or None, int(options.user) if options.user else None)
    after = since(options.since, datetime.now(UTC)) if options.since else None
    return from_redis(
        connection(redis_url(options)),
        sorted(STREAMS),
        wanted,
        Begin(after, json.loads(options.after)),
    )


def redis_url(options: argparse.Namespace) -> str:
    """Return the address, from the input or the environment; raises SettingsError for none."""
    # The environment is that of the service around it, whose user may read less.
    given = sys.stdin.readline().strip() if options.url_from_input else ""
    return load_settings(Settings, {"REDIS_URL": given} if given else None).redis_url


async def show(options: argparse.Namespace) -> None:
    """Show what happens until it is ended: by a signal, a key, or the end of its input."""
    happening, ended = messages(options), asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(signum, ended.set)
    if options.url_from_input:
        loop.add_reader(sys.stdin.fileno(), _until_closed, ended)
    with keys(ended):
        showing = asyncio.create_task(_show(options, happening))
        ending = asyncio.create_task(ended.wait())
        await asyncio.wait({showing, ending}, return_when=asyncio.FIRST_COMPLETED)
        for task in (showing, ending):
            task.cancel()
        outcome, _ = await asyncio.gather(showing, ending, return_exceptions=True)
    if isinstance(outcome, Exception):
        raise outcome


def _until_closed(ended: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        ended.set()
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())


async def _show(options: argparse.Namespace, happening: AsyncGenerator[Content]) -> None:
    screen = Screen(sys.stdout)
    look = Look(colours=screen.colours)
    try:
        async with aclosing(happening):
            async for message in happening:
                if options.json:
                    _say_as_json(message, screen, whole=options.status)
                elif entry := message.get("entry"):
                    screen.line(look.entry(entry))
                elif letter := message.get("letter"):
                    screen.line(look.letter(letter))
                elif text := message.get("notice"):
                    screen.line(look.notice(text))
                elif standing := message.get("status"):
                    screen.status(look.status(standing))
    finally:
        screen.close()


def _say_as_json(message: Content, screen: Screen, *, whole: bool) -> None:
    if whole:
        screen.line(as_json(message))
    elif entry := message.get("entry") or message.get("letter"):
        screen.line(as_json(entry))
    elif text := message.get("notice"):
        say(f"{NAME}: {text}", sys.stderr)


def main() -> None:
    """Run the tool as a process."""
    options = parse(sys.argv[1:])
    try:
        asyncio.run(show(options))
    except SettingsError as error:
        exit_with(error, NAME)
    except EndedError as error:
        say(f"{NAME}: {error}", sys.stderr)
        raise SystemExit(error.code) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
