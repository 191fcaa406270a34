"""The bot's variables."""

from shared.settings import HttpUrl
from shared.telegram import BotSettings


class Settings(BotSettings):
    """What the bot reads from its environment; `services.yml` describes each variable."""

    api_base_url: HttpUrl
