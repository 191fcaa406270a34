"""The variables of any bot."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from shared.settings import HttpUrl, LogFormat, LogLevel, Port, RedisUrl


class BotSettings(BaseModel):
    """What the runtime reads from a bot's environment; `services.yml` describes each variable."""

    model_config = ConfigDict(frozen=True)

    telegram_bot_token: Annotated[SecretStr, Field(min_length=1)]
    redis_url: RedisUrl
    telegram_api_url: HttpUrl = "https://api.telegram.org"
    health_port: Port = 8080
    health_host: str = "0.0.0.0"  # noqa: S104 — a container's health check comes from inside it
    webhook_url: HttpUrl | Literal[""] = ""
    webhook_ip_address: str = ""
    webhook_host: str = "0.0.0.0"  # noqa: S104 — what brings updates is another container
    webhook_port: Port = 8000
    replies_per_second: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 30.0
    messages_per_minute: Annotated[int, Field(ge=0)] = 120
    bytes_per_day: Annotated[int, Field(ge=0)] = 2_000_000
    handler_timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 60.0
    log_level: LogLevel = "INFO"
    log_format: LogFormat = "console"
