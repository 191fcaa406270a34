"""The application, and what its handlers find in their context."""

from typing import Any, Generic, TypeVar

from telegram.ext import Application, CallbackContext, ExtBot

from shared.telegram.replies.outbox import Outbox
from shared.telegram.updates.flood import Flood

D = TypeVar("D")
"""The type of `bot_data`: what handlers share, a service's own."""


class Bot(Application[ExtBot[Any], "Context[D]", dict[Any, Any], dict[Any, Any], D, None]):
    """python-telegram-bot's application, with what the runtime adds to it."""

    outbox: Outbox
    flood: Flood
    name: str


class Context(CallbackContext[ExtBot[Any], dict[Any, Any], dict[Any, Any], D], Generic[D]):
    """What a handler is given beside the update: python-telegram-bot's own, and the outbox."""

    @property
    def outbox(self) -> Outbox:
        """What replies go through."""
        application: Any = self.application
        outbox: Outbox = application.outbox
        return outbox
