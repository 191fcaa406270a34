"""What handlers find in their context besides what python-telegram-bot puts there."""

from dataclasses import dataclass, field
from typing import Any

from telegram.ext import CallbackContext, ExtBot

from tg_bot.flood import Flood
from tg_bot.outbox import Outbox
from tg_bot.users import Users


@dataclass(slots=True)
class BotData:
    """The application's `bot_data`: the services that handlers call, set when it is built."""

    users: Users = field(init=False)
    outbox: Outbox = field(init=False)
    flood: Flood = field(init=False)


Context = CallbackContext[ExtBot[None], dict[Any, Any], dict[Any, Any], BotData]
