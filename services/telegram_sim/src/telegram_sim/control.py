"""The control API over HTTP: /sim/…, JSON in and out.

Every answer is `{"ok": true, "result": …}` or `{"ok": false, "error": "…"}` with a status of 400,
404 or 409. A request that changes something is answered when the change is on the disk.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from telegram_sim.bots import Bot
from telegram_sim.chats import GROUP, PRIVATE, Chat, Message
from telegram_sim.overview import overview
from telegram_sim.people import (
    PeopleError,
    Written,
    block,
    edit,
    inject,
    open_chat,
    press,
    write,
)
from telegram_sim.requests import (
    Fields,
    RequestError,
    read_fault,
    read_limits,
    read_user,
    read_writing,
    read_writings,
)
from telegram_sim.serial import Json, decode, encode
from telegram_sim.simulator import Simulator

Handler = Callable[[Fields], Awaitable[Any]]
LONGEST_WAIT = 600.0
WRITINGS_AT_ONCE = 500


class ControlApi:
    """Answers every control request."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def add_to(self, app: web.Application) -> None:
        """Make an application answer control requests."""
        for method, path, handler in (
            ("GET", "/sim/overview", self.overview),
            ("GET", "/sim/chats", self.chats),
            ("POST", "/sim/chats", self.open_chat),
            ("GET", "/sim/users", self.users),
            ("GET", "/sim/messages", self.messages),
            ("GET", "/sim/wait", self.wait),
            ("POST", "/sim/write", self.write),
            ("POST", "/sim/write_many", self.write_many),
            ("POST", "/sim/edit", self.edit),
            ("POST", "/sim/inject", self.inject),
            ("POST", "/sim/press", self.press),
            ("GET", "/sim/press", self.press_answer),
            ("POST", "/sim/block", self.block),
            ("POST", "/sim/clock", self.clock),
            ("GET", "/sim/faults", self.faults),
            ("POST", "/sim/faults", self.add_fault),
            ("DELETE", "/sim/faults", self.clear_faults),
            ("DELETE", "/sim/faults/{id}", self.remove_fault),
            ("GET", "/sim/limits", self.limits),
            ("PUT", "/sim/limits", self.set_limits),
        ):
            app.router.add_route(method, path, self._answering(handler))

    def _answering(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            try:
                result = await handler(await Fields.of(request))
                await self._simulator.state.settled()
            except (RequestError, PeopleError) as problem:
                body: Json = {"ok": False, "error": str(problem)}
                status = getattr(problem, "status", 400)
                return web.Response(
                    body=encode(body), status=status, content_type="application/json"
                )
            return web.Response(
                body=encode({"ok": True, "result": result}), content_type="application/json"
            )

        return answer

    async def overview(self, fields: Fields) -> Any:
        """Return how everything stands; with a token, only that bot."""
        named = bool(fields.text("token", ""))
        bots = [self._bot(fields)] if named else list(self._simulator.bots.values())
        fields.finish()
        return overview(self._simulator, bots)

    async def chats(self, fields: Fields) -> Any:
        """Return a bot's chats."""
        bot = self._bot(fields)
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
        bot = self._bot(fields)
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
        chat = self._chat(fields)
        after = fields.integer("after", 0)
        limit = fields.integer("limit", 0)
        fields.finish()
        found = list(chat.after(after)) if chat is not None else []
        return [shown(message) for message in (found[-limit:] if limit else found)]

    async def wait(self, fields: Fields) -> Any:
        """Return the bot's first message after a number, or null when it does not come in time."""
        bot = self._bot(fields)
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
        bot = self._bot(fields)
        writing = read_writing(fields)
        fields.finish()
        return written(write(self._simulator, bot, writing))

    async def write_many(self, fields: Fields) -> Any:
        """Write many messages, for load."""
        bot = self._bot(fields)
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
        bot = self._bot(fields)
        chat = self._known_chat(fields, bot)
        message_id, text = fields.integer("message_id"), fields.text("text")
        fields.finish()
        return written(edit(self._simulator, bot, chat, message_id, text))

    async def inject(self, fields: Fields) -> Any:
        """Put an update of any content before the bot."""
        bot = self._bot(fields)
        update = fields.object("update")
        lifetime = fields.integer("expires_in", None)
        fields.finish()
        content = {kind: value for kind, value in update.items() if kind != "update_id"}
        if len(content) != 1:
            raise RequestError("update must have exactly one field besides update_id: its kind")
        ((kind, value),) = content.items()
        return {"update_id": inject(self._simulator, bot, kind, value, lifetime)}

    async def press(self, fields: Fields) -> Any:
        """Press a button as a person."""
        bot = self._bot(fields)
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
                while (found := presses.get(press_id)) is not None and not found.answered:
                    await presses.some_answer()
        except TimeoutError:
            return None
        if found is None:
            raise RequestError(f"there is no callback query {press_id}", status=404)
        return found.json()

    async def block(self, fields: Fields) -> Any:
        """Have a user block the bot, or let it write again."""
        bot = self._bot(fields)
        chat = self._known_chat(fields, bot)
        blocked = fields.flag("blocked", default=True)
        fields.finish()
        return {"update_id": block(self._simulator, bot, chat, blocked=blocked)}

    async def faults(self, fields: Fields) -> Any:
        """Return the faults that are there."""
        fields.finish()
        return [fault.json() for fault in self._simulator.faults.all()]

    async def add_fault(self, fields: Fields) -> Any:
        """Add a fault."""
        fault = read_fault(fields, self._simulator.clock)
        fields.finish()
        return self._simulator.faults.add(fault).json()

    async def clear_faults(self, fields: Fields) -> Any:
        """Remove every fault."""
        fields.finish()
        return {"removed": self._simulator.faults.clear()}

    async def remove_fault(self, fields: Fields) -> Any:
        """Remove one fault."""
        fault_id = fields.integer("id")
        fields.finish()
        if not self._simulator.faults.remove(fault_id):
            raise RequestError(f"there is no fault {fault_id}", status=404)
        return {"removed": 1}

    async def limits(self, fields: Fields) -> Any:
        """Return how fast bots may send."""
        fields.finish()
        return self._simulator.limits.settings.json()

    async def set_limits(self, fields: Fields) -> Any:
        """Choose how fast bots may send; what is not named stays."""
        limits = read_limits(fields, self._simulator.limits.settings)
        fields.finish()
        self._simulator.limit(limits)
        return limits.json()

    async def clock(self, fields: Fields) -> Any:
        """Move the simulated time ahead."""
        seconds = fields.number("advance")
        fields.finish()
        if seconds < 0:
            raise RequestError("advance must not be negative: time does not go back")
        self._simulator.advance(seconds)
        clock = self._simulator.clock
        return {"now": clock.now(), "shift": clock.shift}

    def _bot(self, fields: Fields) -> Bot:
        """Return the bot that a request names, or the only one there is."""
        return fields.bot(self._simulator)

    def _chat(self, fields: Fields) -> Chat | None:
        return self._bot(fields).chats.get(fields.integer("chat"))

    def _known_chat(self, fields: Fields, bot: Bot) -> Chat:
        chat_id = fields.integer("chat")
        chat = bot.chats.get(chat_id)
        if chat is None:
            raise RequestError(f"bot {bot.id} has no chat {chat_id}", status=404)
        return chat


def shown(message: Message) -> Json:
    """Return a message as the control API shows it."""
    return {"from_bot": message.from_bot, "message": decode(message.body), **message.extra}


def written(done: Written) -> Json:
    """Return what became of something written, as the control API shows it."""
    return {"message": decode(done.message.body), "update_id": done.update_id}
