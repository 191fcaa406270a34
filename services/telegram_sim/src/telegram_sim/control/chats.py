"""Control requests about chats: what people do in them, and what was written there."""

import asyncio
from typing import Any

from telegram_sim.api.serial import Json, decode
from telegram_sim.control.fields import Fields, RequestError
from telegram_sim.control.readings import read_user, read_writing, read_writings
from telegram_sim.control.routes import Routes
from telegram_sim.world.bots import Bot
from telegram_sim.world.chats import GROUP, PRIVATE, Chat, StoredMessage
from telegram_sim.world.members import STATUSES, set_status
from telegram_sim.world.people import Written, block, edit, inject, open_chat, press, write
from telegram_sim.world.simulator import Simulator

LONGEST_WAIT = 600.0
WRITINGS_AT_ONCE = 500


class ChatRequests:
    """Answers requests about chats."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def routes(self) -> Routes:
        """Return which request is answered by what."""
        return (
            ("GET", "/sim/chats", self.chats),
            ("POST", "/sim/chats", self.open_chat),
            ("GET", "/sim/users", self.users),
            ("GET", "/sim/messages", self.messages),
            ("GET", "/sim/wait", self.wait),
            ("POST", "/sim/write", self.write),
            ("POST", "/sim/write_many", self.write_many),
            ("POST", "/sim/edit", self.edit),
            ("POST", "/sim/press", self.press),
            ("GET", "/sim/press", self.press_answer),
            ("POST", "/sim/block", self.block),
            ("POST", "/sim/member", self.member),
            ("PUT", "/sim/privacy", self.privacy),
            ("POST", "/sim/inject", self.inject),
        )

    async def chats(self, fields: Fields) -> Any:
        """Return a bot's chats."""
        bot = fields.bot(self._simulator)
        fields.finish()
        return [
            {
                "chat": chat.about,
                "blocked": chat.blocked,
                "last": shown(next(reversed(chat.messages.values()))) if chat.messages else None,
            }
            for chat in bot.chats.values()
        ]

    async def open_chat(self, fields: Fields) -> Any:
        """Open an empty chat: a new user's private one, or a new group."""
        bot = fields.bot(self._simulator)
        kind, name = fields.text("kind"), fields.text("name").strip()
        fields.finish()
        if kind not in {PRIVATE, GROUP} or not name:
            raise RequestError(f"kind must be {PRIVATE} or {GROUP}, and name not empty")
        return open_chat(self._simulator, bot, kind, name).about

    async def users(self, fields: Fields) -> Any:
        """Return every user."""
        fields.value("bot", None)
        fields.finish()
        return list(self._simulator.users.values())

    async def messages(self, fields: Fields) -> Any:
        """Return a chat's messages."""
        chat = fields.bot(self._simulator).chats.get(fields.integer("chat"))
        after = fields.integer("after", 0)
        limit = max(0, fields.integer("limit", 0))
        fields.finish()
        messages = list(chat.after(after)) if chat is not None else []
        return [shown(message) for message in (messages[-limit:] if limit else messages)]

    async def wait(self, fields: Fields) -> Any:
        """Return the bot's first message after a number, or null when it does not come in time."""
        bot = fields.bot(self._simulator)
        chat_id = fields.integer("chat")
        after = fields.integer("after", 0)
        timeout = min(fields.number("timeout", 10.0), LONGEST_WAIT)
        fields.finish()
        try:
            async with asyncio.timeout(timeout):
                while True:
                    chat = bot.chats.get(chat_id)
                    answer = chat.answer(after) if chat is not None else None
                    if answer is not None:
                        return shown(answer)
                    await (chat.changed() if chat is not None else asyncio.sleep(0.02))
        except TimeoutError:
            return None

    async def write(self, fields: Fields) -> Any:
        """Write as a person."""
        bot = fields.bot(self._simulator)
        writing = read_writing(fields)
        fields.finish()
        return written(write(self._simulator, bot, writing))

    async def write_many(self, fields: Fields) -> Any:
        """Write many messages, for load."""
        bot = fields.bot(self._simulator)
        writings = read_writings(fields)
        fields.finish()
        numbers: list[int | None] = []
        for count, writing in enumerate(writings, start=1):
            numbers.append(write(self._simulator, bot, writing).update_id)
            if count % WRITINGS_AT_ONCE == 0:
                await asyncio.sleep(0)
        given = [number for number in numbers if number is not None]
        return {
            "written": len(numbers),
            "updates": len(given),
            "first_update_id": given[0] if given else None,
            "last_update_id": given[-1] if given else None,
        }

    async def edit(self, fields: Fields) -> Any:
        """Edit a person's message."""
        bot = fields.bot(self._simulator)
        chat = self._known_chat(fields, bot)
        message_id, text = fields.integer("message_id"), fields.text("text")
        fields.finish()
        return written(edit(self._simulator, bot, chat, message_id, text))

    async def press(self, fields: Fields) -> Any:
        """Press a button as a person."""
        bot = fields.bot(self._simulator)
        chat = self._known_chat(fields, bot)
        message_id, label = fields.integer("message_id"), fields.text("button")
        user = read_user(fields, default=chat.id if chat.id > 0 else None)
        fields.finish()
        pressed, update_id = press(self._simulator, bot, chat, message_id, label=label, user=user)
        return {"callback_query_id": pressed.id, "update_id": update_id}

    async def press_answer(self, fields: Fields) -> Any:
        """Return what the bot said to a pressed button, or null when it does not in time."""
        press_id = fields.text("callback_query_id")
        timeout = min(fields.number("timeout", 10.0), LONGEST_WAIT)
        fields.finish()
        presses = self._simulator.presses
        try:
            async with asyncio.timeout(timeout):
                while (pressed := presses.get(press_id)) is not None and not pressed.answered:
                    await presses.some_answer()
        except TimeoutError:
            return None
        if pressed is None:
            raise RequestError(f"there is no callback query {press_id}", status=404)
        return pressed.json()

    async def block(self, fields: Fields) -> Any:
        """Have a user block the bot, or let it write again."""
        bot = fields.bot(self._simulator)
        chat = self._known_chat(fields, bot)
        blocked = fields.flag("blocked", default=True)
        fields.finish()
        return {"update_id": block(self._simulator, bot, chat, blocked=blocked)}

    async def member(self, fields: Fields) -> Any:
        """Make a user, or the bot itself, something in a group."""
        bot = fields.bot(self._simulator)
        chat = self._known_chat(fields, bot)
        user, status = read_user(fields), fields.text("status")
        fields.finish()
        if status not in STATUSES:
            raise RequestError(f"status must be one of {', '.join(STATUSES)}, not {status!r}")
        if chat.type == PRIVATE:
            raise RequestError(f"chat {chat.id} is a private chat: its members are what they are")
        by = bot.user if user["id"] == bot.id else self._simulator.meet(user)
        number = set_status(self._simulator, bot, chat, by["id"], status, by=by)
        return {"update_id": number}

    async def privacy(self, fields: Fields) -> Any:
        """Choose whether a bot hears in groups only what is meant for it."""
        bot = fields.bot(self._simulator)
        bot.profile.privacy = fields.flag("enabled")
        fields.finish()
        bot.changed()
        return {"enabled": bot.profile.privacy}

    async def inject(self, fields: Fields) -> Any:
        """Put an update of any content before the bot."""
        bot = fields.bot(self._simulator)
        update = fields.object("update")
        lifetime = fields.integer("expires_in", None)
        fields.finish()
        content = {kind: value for kind, value in update.items() if kind != "update_id"}
        if len(content) != 1:
            raise RequestError("update must have exactly one field besides update_id: its kind")
        ((kind, value),) = content.items()
        return {"update_id": inject(self._simulator, bot, kind, value, lifetime)}

    def _known_chat(self, fields: Fields, bot: Bot) -> Chat:
        chat_id = fields.integer("chat")
        chat = bot.chats.get(chat_id)
        if chat is None:
            raise RequestError(f"bot {bot.id} has no chat {chat_id}", status=404)
        return chat


def shown(message: StoredMessage) -> Json:
    """Return a message as the control API shows it."""
    return {"from_bot": message.from_bot, "message": decode(message.body), **message.extra}


def written(done: Written) -> Json:
    """Return what became of something written, as the control API shows it."""
    return {"message": decode(done.message.body), "update_id": done.update_id}
