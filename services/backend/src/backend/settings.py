"""What the backend reads from its environment."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

DATABASES = ("postgresql+asyncpg://", "sqlite+aiosqlite:///")
REDISES = ("redis://", "rediss://", "unix://")


def _async_database(url: str) -> str:
    if url.startswith(DATABASES) and _has_a_port_or_none(url):
        return url
    raise ValueError(
        "write postgresql+asyncpg://user:password@host/name or sqlite+aiosqlite:///path"
    )


def _redis(url: str) -> str:
    if url.startswith(REDISES) and _has_a_port_or_none(url):
        return url
    raise ValueError("write redis://host:port, rediss://host:port or unix:///path")


def _has_a_port_or_none(url: str) -> bool:
    """Say whether the address is one; a slip must not wait until something connects."""
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


class Settings(BaseModel):
    """The backend's settings; each field is the variable of the same name in upper case.

    Attributes:
        database_url: SQLAlchemy's address of PostgreSQL (asyncpg) or of an SQLite file (aiosqlite).
        redis_url: Where the streams are.
        http_host: Address that the API listens on.
        http_port: Port that the API listens on; 0 takes a free one and logs it.
        debug_endpoints: `on` for `POST /debug/command` and `/docs`; `off` and they are not there.
        log_level: The least level that is logged.
        log_format: `json` for containers, `console` for people.
    """

    model_config = ConfigDict(frozen=True)

    database_url: Annotated[str, AfterValidator(_async_database)]
    redis_url: Annotated[str, AfterValidator(_redis)]
    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65535)] = 8000
    debug_endpoints: Literal["on", "off"] = "on"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "console"] = "console"
