"""The bot's variables."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr


def _http_url(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("it is no http:// or https:// URL")
    return value.rstrip("/")


def _redis_url(value: str) -> str:
    if not value.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("it is no redis:// URL")
    return value


HttpUrl = Annotated[str, AfterValidator(_http_url)]


class Settings(BaseModel):
    """What the bot reads from its environment; `services.yml` describes each variable."""

    model_config = ConfigDict(frozen=True)

    telegram_bot_token: Annotated[SecretStr, Field(min_length=1)]
    redis_url: Annotated[str, AfterValidator(_redis_url)]
    api_base_url: HttpUrl
    telegram_api_url: HttpUrl = "https://api.telegram.org"
    health_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    health_host: str = "0.0.0.0"  # noqa: S104 — a container's health check comes from inside it
    replies_per_second: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 30.0
    messages_per_minute: Annotated[int, Field(ge=0)] = 120
    bytes_per_day: Annotated[int, Field(ge=0)] = 2_000_000
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["console", "json"] = "console"
