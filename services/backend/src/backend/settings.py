"""What the backend reads from its environment."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from shared.settings import DatabaseUrl, LogFormat, LogLevel, Port, RedisUrl


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

    database_url: DatabaseUrl
    redis_url: RedisUrl
    http_host: str = "127.0.0.1"
    http_port: Port = 8000
    debug_endpoints: Literal["on", "off"] = "on"
    log_level: LogLevel = "INFO"
    log_format: LogFormat = "console"
