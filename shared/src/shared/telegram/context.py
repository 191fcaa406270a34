"""The application, and what its handlers find in their context."""

from functools import partial
from typing import Any, Generic, TypeVar

from telegram.ext import Application, CallbackContext, ExtBot

from shared.generated.events import Delivery
from shared.telegram.dialogs.steps import Dialogs
from shared.telegram.notices import Languages, Notices, notices_for
from shared.telegram.replies.limits import Chat
from shared.telegram.replies.once import send_once
from shared.telegram.replies.outbox import Outbox
from shared.telegram.updates.flood import Flood
from shared.telegram.updates.lanes import Lanes
from shared.telegram.updates.moments import Moments
from shared.telegram.updates.watch import Watch

D = TypeVar("D")
"""The type of `bot_data`: what handlers share, a service's own."""


class Bot(Application[ExtBot[Any], "Context[D]", dict[Any, Any], dict[Any, Any], D, None]):
    """python-telegram-bot's application, with what the runtime adds to it."""

    outbox: Outbox
    flood: Flood
    lanes: Lanes
    moments: Moments
    watch: Watch
    notices: Languages
    """What senders are told by the runtime, by language code; `""` is for all others."""
    dialogs: Dialogs
    name: str

    async def send_once(self, delivery: Delivery, chat_id: Chat, text: str, **options: Any) -> bool:
        """Send what an event asks for, in a subscriber: once, as far as Telegram permits.

        Args:
            delivery: that of the event; it may come again.
            chat_id: where to.
            text: what.
            options: whatever else `send_message` takes.

        Returns:
            Whether Telegram has taken it, now or before; False where it never will.

        Raises:
            TryLaterError: it has not, for a reason that passes; leave it to whoever calls the
                subscriber, and the event is delivered again.
        """
        send = partial(self.bot.send_message, chat_id, text, **options)
        return await send_once(delivery, partial(self.outbox.put, chat_id, send))

    def notices_for(self, update: Any) -> Notices:
        """Return the notices in the language of whoever caused an update."""
        return notices_for(self.notices, update)


class Context(CallbackContext[ExtBot[Any], dict[Any, Any], dict[Any, Any], D], Generic[D]):
    """What a handler is given beside the update: python-telegram-bot's own, outbox and event id."""

    update_id: int | None = None

    @property
    def outbox(self) -> Outbox:
        """What replies go through."""
        application: Any = self.application
        outbox: Outbox = application.outbox
        return outbox

    @property  # type: ignore[misc]  # theirs can be set, and then raises
    def user_data(self) -> dict[Any, Any]:
        """What is kept of the user between updates.

        Raises:
            RuntimeError: nothing is kept: no persistent dialog is registered, or the update is of
                no user.
        """
        kept: Any = self.application.user_data
        if self._user_id not in kept:
            raise RuntimeError(
                "user_data is kept of users, where a persistent dialog is registered"
            )
        data: dict[Any, Any] = kept[self._user_id]
        return data

    @property  # type: ignore[misc]  # as above
    def chat_data(self) -> dict[Any, Any]:
        """Nothing is kept of a chat.

        Raises:
            RuntimeError: always, since the next bot that takes over would not have it.
        """
        raise RuntimeError("chat_data is not kept; user_data and an event are")

    @property
    def event_id(self) -> str:
        """What identifies the update among those of all bots, and so an event that is made of it.

        The second event of an update needs another one: `f"{context.event_id}:paid"`.

        Raises:
            RuntimeError: this context is of no update.
        """
        if self.update_id is None:
            raise RuntimeError("there is no update in this context")
        return f"{self.bot.id}:{self.update_id}"

    @classmethod
    def from_update(cls, update: object, application: Any) -> "Context[D]":
        """Return the context of an update."""
        context = super().from_update(update, application)
        context.update_id = getattr(update, "update_id", None)
        return context
