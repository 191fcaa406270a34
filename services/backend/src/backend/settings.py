"""What the backend reads from its environment."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from shared.console import ADDRESSES, CHAT, ConsoleMode
from shared.settings import DatabaseUrl, LogFormat, LogLevel, Port, RedisUrl


class Settings(BaseModel):
    """The backend's settings; each field is the variable of the same name in upper case.

    Attributes:
        database_url: SQLAlchemy's address of PostgreSQL (asyncpg) or of an SQLite file (aiosqlite).
        redis_url: Where the streams are.
        http_host: Address that the API listens on.
        http_port: Port that the API listens on; 0 takes a free one and logs it.
        debug_endpoints: `on` for `POST /debug/command` and `/docs`; `off` and they are not there.
        console_mode: `open` for a console at `/console` that needs no login, `login` for one with a
            token, `off` for none.
        console_token: What one logs in with.
        console_chat: Origin of the chat page that the console shows beside itself.
        console_addresses: Where services say how they are, as NAME=URL with blanks between; nothing
            for the names that Compose gives.
        log_level: The least level that is logged.
        log_format: `json` for containers, `console` for people.
    """

    model_config = ConfigDict(frozen=True)

    database_url: DatabaseUrl
    redis_url: RedisUrl
    http_host: str = "127.0.0.1"
    http_port: Port = 8000
    debug_endpoints: Literal["on", "off"] = "on"
    console_mode: ConsoleMode = "off"
    console_token: SecretStr = SecretStr("")
    console_chat: Annotated[str, Field(pattern=CHAT)] = ""
    console_addresses: Annotated[str, Field(pattern=ADDRESSES)] = ""
    log_level: LogLevel = "INFO"
    log_format: LogFormat = "console"
