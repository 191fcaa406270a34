"""Users, the chats that a bot has with them, and the messages in those chats."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from telegram_sim.api.serial import Json, decode

PRIVATE, GROUP, SUPERGROUP, CHANNEL = "private", "group", "supergroup", "channel"
CHAT_TYPES = (PRIVATE, GROUP, SUPERGROUP, CHANNEL)
HIGHEST_SUPERGROUP = -1_000_000_000_000


@dataclass(slots=True)
class StoredMessage:
    """One message of a chat.

    Attributes:
        id: Its number in the chat.
        from_bot: Whether the bot wrote it.
        body: The Message object as JSON.
        extra: What the page shows and the Bot API does not give back, such as a reply keyboard.
    """

    id: int
    from_bot: bool
    body: bytes
    extra: Json = field(default_factory=dict)

    def object(self) -> Json:
        """Return the Message object."""
        about: Json = decode(self.body)
        return about


class Chat:
    """One chat of one bot.

    Attributes:
        about: The Chat object of the Bot API.
        blocked: Whether the user has blocked the bot.
        messages: The chat's messages by number, oldest first.
        members: What users, and the bot, are in a group, by their numbers.
    """

    __slots__ = ("_waiting", "about", "blocked", "last_message_id", "members", "messages")

    def __init__(self, about: Json) -> None:
        self.about = about
        self.blocked = False
        self.last_message_id = 0
        self.members: dict[int, str] = {}
        self.messages: OrderedDict[int, StoredMessage] = OrderedDict()
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def id(self) -> int:
        """The chat's number."""
        return int(self.about["id"])

    @property
    def type(self) -> str:
        """One of CHAT_TYPES."""
        return str(self.about["type"])

    @property
    def counts_for_itself(self) -> bool:
        """Whether its messages are numbered from 1, apart from the bot's other chats."""
        return self.type in {SUPERGROUP, CHANNEL}

    def add(self, message: StoredMessage, history: int) -> list[int]:
        """Add a message, or put a changed one in its place; wake whoever waits for an answer.

        Returns:
            The numbers of the messages that had to go because the chat holds more than `history`.
        """
        self.messages[message.id] = message
        self.last_message_id = max(self.last_message_id, message.id)
        gone = []
        while len(self.messages) > history:
            gone.append(self.messages.popitem(last=False)[0])
        if message.from_bot:
            self.wake()
        return gone

    def after(self, message_id: int) -> Iterator[StoredMessage]:
        """Return the messages after a number, oldest first."""
        newest: list[StoredMessage] = []
        for message in reversed(self.messages.values()):
            if message.id <= message_id:
                break
            newest.append(message)
        return reversed(newest)

    def answer(self, after: int) -> StoredMessage | None:
        """Return the bot's first message after a number, if there is one."""
        return next((message for message in self.after(after) if message.from_bot), None)

    async def changed(self) -> None:
        """Return when the bot has written into this chat."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            await waiting
        finally:
            self._waiting.discard(waiting)

    def wake(self) -> None:
        """Wake everybody who waits in `changed`."""
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)


def chat_type(chat_id: int) -> str:
    """Return the type that a chat's number speaks for."""
    if chat_id > 0:
        return PRIVATE
    return SUPERGROUP if chat_id <= HIGHEST_SUPERGROUP else GROUP


def private_chat(user: Json) -> Json:
    """Return the Chat object of the private chat with a user."""
    names = ("first_name", "last_name", "username")
    return {
        "id": user["id"],
        **{name: user[name] for name in names if name in user},
        "type": PRIVATE,
    }


def group_chat(chat_id: int, given: dict[str, Any]) -> Json:
    """Return the Chat object of a group, supergroup or channel."""
    about: Json = {"id": chat_id, "title": str(given.get("title") or f"Chat {abs(chat_id)}")}
    if given.get("username"):
        about["username"] = given["username"]
    about["type"] = given.get("type") or chat_type(chat_id)
    if about["type"] == GROUP:
        about["all_members_are_administrators"] = True
    return about
