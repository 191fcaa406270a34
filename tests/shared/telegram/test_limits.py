"""The outbox limits itself as Telegram asks, unless it is told that the server is our own."""

import asyncio
from typing import TYPE_CHECKING, cast

import pytest
from structlog.testing import capture_logs
from telegram.error import NetworkError, RetryAfter, TelegramError

from shared.telegram.replies import outbox as outbox_module
from shared.telegram.replies.limits import Limits
from shared.telegram.replies.outbox import Outbox

if TYPE_CHECKING:
    from telegram import Bot


class Telegram:
    """Takes whatever it is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, str]] = []

    async def send_message(self, chat_id: int, text: str) -> None:
        """Note a message."""
        self.sent.append((chat_id, text))


async def test_without_a_limit_a_chat_gets_its_replies_at_once_and_in_order() -> None:
    """REPLIES_PER_SECOND=0 lifts the limit of a chat as well."""
    telegram = Telegram()
    outbox = Outbox(cast("Bot", telegram), Limits(overall=0))
    sent = [outbox.send(7, str(n)) for n in range(200)]
    assert all(await asyncio.wait_for(asyncio.gather(*sent), 1))
    assert telegram.sent == [(7, str(n)) for n in range(200)]
    await outbox.close(1)


@pytest.mark.parametrize(("overall", "chats", "soon"), [(30.0, 1, 3), (30.0, 100, 30), (0.5, 9, 1)])
async def test_a_limit_holds_for_a_chat_and_for_all(overall: float, chats: int, soon: int) -> None:
    """A burst of three to a chat and a second's worth to all leave; the rest waits."""
    telegram = Telegram()
    outbox = Outbox(cast("Bot", telegram), Limits(overall=overall))
    for n in range(100):
        outbox.send(n % chats, "text")
    for _ in range(300):
        await asyncio.sleep(0)
    assert soon <= len(telegram.sent) <= soon + 2
    await outbox.close(0)


async def test_what_a_sender_has_to_know_waits_for_nothing() -> None:
    """The notice of a refusal goes ahead of a thousand replies that wait for their turn."""
    telegram = Telegram()
    outbox = Outbox(cast("Bot", telegram), Limits(overall=1.0))
    for n in range(1000):
        outbox.send(n % 10, "later")
    assert await asyncio.wait_for(outbox.tell(3, "refused"), 1)
    assert (3, "refused") in telegram.sent
    await outbox.close(0)


class FaultyTelegram(Telegram):
    """Fails in every way that passes, then takes what it is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.faults = [
            NetworkError("Bad Gateway"),
            TelegramError("Invalid server response"),
            RetryAfter(0),
        ]

    async def send_message(self, chat_id: int, text: str) -> None:
        """Fail, or note a message."""
        if self.faults:
            raise self.faults.pop()
        await super().send_message(chat_id, text)


async def test_what_a_sender_has_to_know_is_sent_again_until_it_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever Telegram answers meanwhile, a page that is no JSON for example."""
    monkeypatch.setenv("PTB_TIMEDELTA", "true")  # without it, reading retry_after warns
    telegram = FaultyTelegram()
    outbox = Outbox(cast("Bot", telegram))
    assert await asyncio.wait_for(outbox.tell(3, "refused"), 10)
    assert telegram.sent == [(3, "refused")]
    await outbox.close(0)


async def test_one_chat_fills_its_own_share_only() -> None:
    """12,000 replies to one chat: the others' are sent, none of them is dropped."""
    telegram = Telegram()
    outbox = Outbox(cast("Bot", telegram), Limits(overall=1e6))
    flood = [outbox.send(1, "flood") for _ in range(12_000)]
    others = [outbox.send(chat, "other") for chat in range(2, 502)]
    assert all(await asyncio.wait_for(asyncio.gather(*others), 10))
    dropped = [sent for sent in flood if sent.done() and not sent.result()]
    assert len(dropped) == 12_000 - outbox_module.CHAT_CAPACITY
    await outbox.close(0)


async def test_chats_are_forgotten() -> None:
    """100,000 chats that were written to leave nothing behind, and a limit holds until then."""
    telegram = Telegram()
    outbox = Outbox(cast("Bot", telegram), Limits(overall=1e9, per_chat=30.0))
    for first in range(0, 100_000, 5_000):
        sent = [outbox.send(chat, "text") for chat in range(first, first + 5_000)]
        assert all(await asyncio.wait_for(asyncio.gather(*sent), 60))
    assert len(telegram.sent) == 100_000
    async with asyncio.timeout(30):
        while outbox._chats:
            await asyncio.sleep(0.02)
    await outbox.close(0)


class UnreadableTelegram(Telegram):
    """Takes what it is sent, and answers what python-telegram-bot cannot read."""

    async def send_message(self, chat_id: int, text: str) -> None:
        """Note a message and fail as the parser of the answer does."""
        await super().send_message(chat_id, text)
        raise TypeError("Message.__init__() missing 3 required positional arguments")


async def test_an_answer_that_cannot_be_read_ends_no_chat() -> None:
    """The message was taken: it is not sent again, and the next ones follow."""
    telegram = UnreadableTelegram()
    outbox = Outbox(cast("Bot", telegram), Limits(overall=0))
    sent = [outbox.send(7, str(n)) for n in range(3)]
    assert await asyncio.wait_for(asyncio.gather(*sent), 5) == [True] * 3
    assert telegram.sent == [(7, "0"), (7, "1"), (7, "2")]
    await outbox.close(0)


async def test_a_full_outbox_drops_what_is_new_and_says_how_much_was_not_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So many wait for all chats together; whoever asks for more is told, with one line."""
    monkeypatch.setattr(outbox_module, "CAPACITY", 3)
    telegram = Telegram()
    outbox = Outbox(cast("Bot", telegram), Limits(overall=1.0))
    with capture_logs() as lines:
        sent = [outbox.send(chat, "text") for chat in range(5)]
        assert [future.done() for future in sent] == [False, False, False, True, True]
        assert not any(future.result() for future in sent[3:])
        await outbox.close(0)
    events = [line["event"] for line in lines]
    assert events == ["outbox is full, replies are dropped", "replies not sent"]
    assert lines[1]["count"] == 3 - len(telegram.sent)


async def test_an_outbox_that_has_sent_all_says_nothing() -> None:
    """Not when it is closed, either."""
    outbox = Outbox(cast("Bot", Telegram()), Limits(overall=0))
    with capture_logs() as lines:
        assert await outbox.send(7, "text")
        await outbox.close(1)
    assert lines == []
