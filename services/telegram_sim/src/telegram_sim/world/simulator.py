"""The simulated Telegram as a whole: its bots, its users, its clock and what it keeps."""

from dataclasses import replace
from typing import Any

from telegram_sim.api.errors import UnauthorizedError
from telegram_sim.api.serial import Json, decode, encode
from telegram_sim.clock import Clock
from telegram_sim.settings import Settings, is_token
from telegram_sim.state import State
from telegram_sim.updates.queue import Update
from telegram_sim.world.bots import Bot, Profile, bot_id
from telegram_sim.world.chats import Chat, StoredMessage
from telegram_sim.world.deliveries import Deliveries
from telegram_sim.world.faults import Faults
from telegram_sim.world.feed import Feed
from telegram_sim.world.files import Files
from telegram_sim.world.limits import Limits, LimitSettings
from telegram_sim.world.presses import Presses


class Simulator:
    """Everything that one simulated Telegram is made of.

    Attributes:
        settings: What it was told at its start.
        clock: Its time.
        state: What outlives the process.
        feed: Events for the chat page.
        faults: What it gets wrong on purpose.
        limits: How fast bots may send.
        presses: Buttons that were pressed.
        files: Files that were sent.
        deliveries: Where the updates of bots go that do not poll.
        bots: Bots by number, in the order in which they came.
        users: User objects by number.
    """

    def __init__(self, settings: Settings, state: State) -> None:
        self.settings = settings
        self.state = state
        kept = state.settings()
        self.clock = Clock(kept.get("shift", 0.0))
        self.feed = Feed()
        self.faults = Faults(self.clock, state, kept.get("faults", []))
        self.limits = Limits(self.clock, _limits(settings, kept))
        self.presses = Presses(self.clock, state)
        self.files = Files(state)
        self.deliveries = Deliveries(self.clock)
        self.bots: dict[int, Bot] = {}
        self.users: dict[int, Json] = {}
        self._tokens: dict[str, Bot] = {}
        self._restore()
        for token in settings.tokens:
            self._accept(token)

    def bot(self, token: str) -> Bot:
        """Return the bot that has a token; one that nobody has heard of comes into being.

        Raises:
            UnauthorizedError: No bot has it, or can have it.
        """
        accepted = self.settings.tokens
        if accepted and token not in accepted:
            raise UnauthorizedError
        bot = self._tokens.get(token)
        if bot is not None:
            return bot
        if not is_token(token):
            raise UnauthorizedError("Unauthorized: invalid token specified")
        if bot_id(token) in self.bots:
            raise UnauthorizedError
        return self._accept(token)

    def advance(self, seconds: float) -> None:
        """Move the clock ahead, for good."""
        self.clock.advance(seconds)
        self.state.put_setting("shift", self.clock.shift)

    def limit(self, limits: LimitSettings) -> None:
        """Choose how fast bots may send, for good."""
        self.limits.choose(limits)
        self.state.put_setting("limits", limits.json())

    async def stop(self) -> None:
        """End everything that waits, so that the process can end."""
        await self.deliveries.stop()
        self.feed.close()
        for bot in self.bots.values():
            bot.polling.stop_waiting(None)

    def meet(self, user: Json) -> Json:
        """Make a user known, or better known, and return the whole User object."""
        known = self.users.get(user["id"], {"id": user["id"], "is_bot": False})
        met = {**known, **user}
        met.setdefault("first_name", f"User {met['id']}")
        if met != self.users.get(met["id"]):
            self.users[met["id"]] = met
            self.state.put_user(met["id"], encode(met))
        return met

    def open_chat(self, bot: Bot, about: Json) -> Chat:
        """Return a bot's chat as it is now described; it begins where there was none."""
        chat = bot.chats.get(about["id"])
        if chat is None:
            chat = bot.chats[about["id"]] = Chat(about)
        elif chat.about == about:
            return chat
        chat.about = about
        self.keep_chat(bot, chat)
        return chat

    def keep_chat(self, bot: Bot, chat: Chat) -> None:
        """Record a chat as it now is."""

        def row() -> tuple[str, tuple[Any, ...]]:
            kept = {
                "about": chat.about,
                "blocked": chat.blocked,
                "last": chat.last_message_id,
                "members": list(chat.members.items()),
            }
            return "INSERT OR REPLACE INTO chats VALUES (?, ?, ?)", (bot.id, chat.id, encode(kept))

        self.state.rewrite(("chats", bot.id, chat.id), row)

    def next_message_id(self, bot: Bot, chat: Chat) -> int:
        """Return the number of a chat's next message.

        Supergroups and channels count for themselves; all other chats of a bot count together.
        """
        if chat.counts_for_itself:
            chat.last_message_id += 1
            self.keep_chat(bot, chat)
            return chat.last_message_id
        bot.profile.last_message_id += 1
        bot.changed()
        return bot.profile.last_message_id

    def put(self, bot: Bot, chat: Chat, message: StoredMessage, event: str = "message") -> None:
        """Add a message to a chat, or put a changed one in its place, and tell who watches."""
        gone = chat.add(message, self.settings.history)
        if not self.state.keeps and not self.feed.watched:
            return
        extra = encode({**message.extra, "from_bot": message.from_bot})
        self.state.put_message(bot.id, chat.id, message.id, message.body, extra)
        for message_id in gone:
            self.state.drop_message(bot.id, chat.id, message_id)
        if self.feed.watched:
            self.feed.publish(
                b'{"type":"%s","bot":%d,"chat":%s,"message":%s,"extra":%s}'
                % (event.encode(), bot.id, encode(chat.about), message.body, extra)
            )

    def remove(self, bot: Bot, chat: Chat, message_id: int) -> None:
        """Take a message out of a chat, and tell who watches."""
        del chat.messages[message_id]
        self.state.drop_message(bot.id, chat.id, message_id)
        self.tell(type="deleted", bot=bot.id, chat=chat.about, message_id=message_id)

    def tell(self, **event: Any) -> None:
        """Tell whoever watches of an event."""
        if self.feed.watched:
            self.feed.publish(encode(event))

    def _accept(self, token: str) -> Bot:
        """Return the bot with a token's number; a new token takes the place of its old one."""
        known = self.bots.get(bot_id(token))
        if known is None:
            known = Bot(Profile(token), self.clock, self.state)
        elif known.profile.token != token:
            del self._tokens[known.profile.token]
            known.profile.token = token
        known.changed()
        return self._add(known)

    def _add(self, bot: Bot) -> Bot:
        self.bots[bot.id] = bot
        self._tokens[bot.profile.token] = bot
        return bot

    def _restore(self) -> None:
        state = self.state
        for (body,) in state.rows("SELECT body FROM bots ORDER BY rowid"):
            kept = decode(body)
            bot = Bot(Profile(kept["profile"]["token"]), self.clock, state)
            bot.restore(kept)
            self._add(bot)
        for user, body in state.rows("SELECT id, body FROM users"):
            self.users[user] = decode(body)
        for owner, chat_id, body in state.rows("SELECT bot, id, body FROM chats"):
            kept = decode(body)
            chat = self.bots[owner].chats[chat_id] = Chat(kept["about"])
            chat.blocked, chat.last_message_id = kept["blocked"], kept["last"]
            chat.members = dict(kept.get("members", ()))
        for owner, chat_id, message_id, body, extra in state.rows(
            "SELECT bot, chat, id, body, extra FROM messages ORDER BY bot, chat, id"
        ):
            kept = decode(extra)
            message = StoredMessage(message_id, kept.pop("from_bot"), body, kept)
            self.bots[owner].chats[chat_id].add(message, self.settings.history)
        for owner, *values in state.rows(
            "SELECT bot, id, kind, body, expires, queue FROM updates ORDER BY bot, id"
        ):
            self.bots[owner].updates.restore(Update(*values))


def _limits(settings: Settings, kept: dict[str, Any]) -> LimitSettings:
    """Return the limits chosen last; none at all where the simulator was told so at its start."""
    chosen = LimitSettings(**kept.get("limits", {}))
    return chosen if settings.limits else replace(chosen, enabled=False)
