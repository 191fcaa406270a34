"""The loop at its edges: a stop with a batch in hand, and how soon a failed request is repeated."""

import asyncio
import itertools
import sys
from time import monotonic
from typing import TYPE_CHECKING, cast

import pytest
from telegram.error import NetworkError, RetryAfter

from shared.telegram.replies.limits import Limits
from shared.telegram.replies.outbox import Outbox
from telegram_sim.client import SimClient
from tests.conditions import eventually
from tests.odd_telegram import OddTelegram
from tests.processes import Service, url_of
from tests.servers import RedisServer
from tests.shared.telegram.a_bot import bot

if TYPE_CHECKING:
    from telegram import Bot

STOPPED_BOT = ("-m", "tests.shared.telegram.stopped_bot")
COUNTED = 3
"""Pauses that are looked at."""
COMMANDS = 8
"""Five more than a chat gets at once: the last reply waits for five seconds."""


async def test_a_batch_that_is_published_after_the_stop_is_confirmed_and_answered(
    redis_server: RedisServer, sim: Service, telegram: SimClient
) -> None:
    """No poll follows that would confirm it, and the last replies wait for the chat's limit."""
    with bot(redis_server.url, url_of(sim)) as stopped:
        stopped.kill()
        await telegram.write_many("/command {n}", count=COMMANDS, users=1, first_user=7)
        stopped.start(sys.executable, *STOPPED_BOT)
        assert await asyncio.to_thread(stopped.wait) == 0
        assert redis_server.client().xlen("command_received") == COMMANDS
        assert (await telegram.overview()).bot.pending == 0
        answers = [message.text for message in await telegram.messages(7) if message.from_bot]
        assert answers == ["Command published!"] * COMMANDS


class FailingTelegram(OddTelegram):
    """Fails every call of a method, and notes when each came."""

    def __init__(self, method: str) -> None:
        super().__init__()
        self.times: list[float] = []
        self._method = method

    async def _result(self, method: str, parameters: dict[str, object]) -> object:
        if method != self._method:
            return await super()._result(method, parameters)
        self.times.append(monotonic())
        return "no result of any method"

    @property
    def pauses(self) -> list[float]:
        """Return the seconds between calls."""
        return [later - earlier for earlier, later in itertools.pairwise(self.times)]


@pytest.mark.parametrize("method", ["getMe", "getUpdates"])
async def test_a_failed_request_is_repeated_after_growing_pauses(
    method: str, redis_server: RedisServer
) -> None:
    """A quarter of a second at least, then twice as long: no storm of requests."""
    async with FailingTelegram(method) as telegram:
        with bot(redis_server.url, telegram.url):
            await eventually(lambda: len(telegram.times) > COUNTED)
    least = zip(telegram.pauses, (0.25, 0.5, 1.0), strict=False)
    assert all(pause >= expected - 0.02 for pause, expected in least), telegram.pauses


class FailingBot:
    """Fails twice, then takes the reply; notes when it was asked."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self._faults = [RetryAfter(1), NetworkError("Bad Gateway")]

    async def send_message(self, chat_id: int, text: str) -> None:
        """Fail, or take a message."""
        self.times.append(monotonic())
        if self._faults:
            raise self._faults.pop()


async def test_a_failed_reply_is_repeated_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of a second after a fault at least; as long as Telegram says when it says so."""
    monkeypatch.setenv("PTB_TIMEDELTA", "true")  # without it, reading retry_after warns
    failing = FailingBot()
    outbox = Outbox(cast("Bot", failing), Limits(overall=0))
    assert await asyncio.wait_for(outbox.send(7, "text"), 30)
    first, second, third = failing.times
    assert second - first >= 0.23
    assert third - second >= 0.98
    await outbox.close(0)
