"""The bot's variables."""

from typing import Annotated

from pydantic import WrapValidator

from shared.settings import HttpUrl
from shared.telegram import BotSettings

NOBODY = "none"
"""What API_BASE_URL says in a stack that keeps no users."""


class Settings(BotSettings):
    """What the bot reads from its environment; `services.yml` describes each variable."""

    api_base_url: Annotated[
        HttpUrl, WrapValidator(lambda url, check: url if url == NOBODY else check(url))
    ]
