"""One bot: what Telegram keeps for its token."""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from telegram_sim.api.serial import Json, encode
from telegram_sim.clock import Clock
from telegram_sim.state import State
from telegram_sim.updates.polling import Polling
from telegram_sim.updates.queue import UpdateQueue
from telegram_sim.updates.webhook import WebhookSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from telegram_sim.world.chats import Chat

KINDS = (
    *("message", "edited_message", "channel_post", "edited_channel_post", "inline_query"),
    *("chosen_inline_result", "callback_query", "custom_event", "custom_query", "shipping_query"),
    *("pre_checkout_query", "poll", "poll_answer", "my_chat_member", "chat_member"),
    *("chat_join_request", "chat_boost", "removed_chat_boost", "message_reaction"),
    *("message_reaction_count", "business_connection", "business_message"),
    *("edited_business_message", "deleted_business_messages", "purchased_paid_media"),
    *("managed_bot", "guest_message"),
)
UNASKED_KINDS = frozenset(KINDS) - {"chat_member", "message_reaction", "message_reaction_count"}


@dataclass(slots=True)
class Counts:
    """What has happened to one bot since its state began."""

    sent: int = 0
    edited: int = 0
    deleted: int = 0
    filtered: int = 0
    limited: int = 0


@dataclass(slots=True)
class Profile:
    """The part of a bot that is kept as one row.

    Attributes:
        token: The bot's token.
        allowed: The kinds of updates that it wants, sorted.
        commands: Lists of BotCommand, by scope and language.
        webhook: Where its updates go; None where it polls.
        last_message_id: The highest number given to a message outside supergroups and channels.
        logged_out_until: Unix second up to which it is logged out.
        privacy: Whether it hears in groups only what is meant for it.
        not_simulated: How often it called methods that the simulator does not have, by name.
        counts: What has happened to it.
    """

    token: str
    allowed: tuple[str, ...] = tuple(sorted(UNASKED_KINDS))
    commands: dict[str, list[Json]] = field(default_factory=dict)
    webhook: WebhookSettings | None = None
    last_message_id: int = 0
    logged_out_until: float = 0.0
    privacy: bool = True
    not_simulated: dict[str, int] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)


def bot_id(token: str) -> int:
    """Return the number of the bot that a token belongs to."""
    return int(token.partition(":")[0])


class Bot:
    """One bot, its updates and its chats.

    Attributes:
        profile: What is kept of the bot itself.
        updates: The updates that wait for it.
        polling: Its getUpdates.
        chats: Its chats by number.
        notify: Called when an update has come; the poll that waits is told unless a webhook is.
    """

    def __init__(self, profile: Profile, clock: Clock, state: State) -> None:
        self.profile = profile
        self.id = bot_id(profile.token)
        self.updates = UpdateQueue(self.id, clock, state)
        self.polling = Polling(self.id, self.updates, clock)
        self.chats: dict[int, Chat] = {}
        self.notify: Callable[[], None] = self.polling.arrived
        self._state = state

    @property
    def user(self) -> Json:
        """The bot's User object, as it stands in messages."""
        return {
            "id": self.id,
            "is_bot": True,
            "first_name": "Simulated bot",
            "username": f"sim{self.id}_bot",
        }

    def arrive(self, kind: str, body: bytes, expires: int, queue: str) -> int | None:
        """Take an update in, as far as the bot wants it.

        Returns:
            The update's number; None where the bot does not want its kind, its time is over, or
            too many updates wait.
        """
        update_id = None
        if kind in self.profile.allowed:
            update_id = self.updates.push(kind, body, expires, queue)
        else:
            self.profile.counts.filtered += 1
        self.changed()
        if update_id is not None:
            self.notify()
        return update_id

    def changed(self) -> None:
        """Record that the bot's row has changed."""
        self._state.rewrite(("bots", self.id), self._row)

    def _row(self) -> tuple[str, tuple[Any, ...]]:
        queue = self.updates
        body = {
            "profile": asdict(self.profile),
            "next_id": queue.next_id,
            "last_arrival": queue.last_arrival,
            "confirmed_up_to": queue.confirmed_up_to,
            "expired": queue.expired,
            "refused": queue.refused,
            "overlaps": [incident.json() for incident in self.polling.overlaps.incidents.values()],
        }
        return "INSERT OR REPLACE INTO bots VALUES (?, ?)", (self.id, encode(body))

    def restore(self, body: Json) -> None:
        """Take over what `changed` had recorded."""
        kept = dict(body["profile"])
        kept["allowed"] = tuple(kept["allowed"])
        kept["counts"] = Counts(**kept["counts"])
        if kept["webhook"] is not None:
            kept["webhook"] = WebhookSettings(**kept["webhook"])
        self.profile = Profile(**kept)
        queue = self.updates
        for name in ("next_id", "last_arrival", "confirmed_up_to", "expired", "refused"):
            setattr(queue, name, body[name])
        self.polling.overlaps.restore(body["overlaps"])
