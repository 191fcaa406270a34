"""Settings from the environment: each variable also from a file, every mistake in one line.

A variable `NAME` may be given as `NAME_FILE`, the path of a file that holds the value, as Docker
secrets are (hub.docker.com/_/postgres describes the convention).
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, NoReturn, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from shared.addresses import SENTINEL_SCHEME, parse_sentinel_url

M = TypeVar("M", bound=BaseModel)


def _address(*schemes: str, write: str) -> AfterValidator:
    """Return what holds an address to its schemes; a slip must not wait until something connects.

    Args:
        schemes: how it may begin.
        write: what to write instead of one that is none.
    """

    def check(url: str) -> str:
        try:
            usable = url.startswith(schemes) and _has_servers(url)
        except ValueError:
            usable = False
        if not usable:
            raise ValueError(f"write {write}")
        return url

    return AfterValidator(check)


def _has_servers(url: str) -> bool:
    """Whether each server of an address can be one; ValueError where a port is no number."""
    if url.startswith(SENTINEL_SCHEME):
        return bool(parse_sentinel_url(url))
    return urlsplit(url).port != 0


RedisUrl = Annotated[
    str,
    _address(
        *("redis://", "rediss://", "unix://", SENTINEL_SCHEME),
        write="redis://host:port, rediss://host:port, unix:///path"
        " or redis+sentinel://host,host,host/service",
    ),
]
DRIVERS = {"postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}


def _with_driver(url: str) -> str:
    """Return a database's address with the driver that is there, as SQLAlchemy wants it.

    Several hosts, which libpq separates by commas, become one `host=` each; a port is 5432 where
    none is given.
    """
    scheme, separator, rest = url.partition("://")
    driver = DRIVERS.get(scheme, scheme)
    login, at, hosts = urlsplit(url).netloc.rpartition("@")
    if scheme != "postgresql" or "," not in hosts:
        return driver + separator + rest
    parts = urlsplit(url)
    options = [f"host={host if ':' in host else f'{host}:5432'}" for host in hosts.split(",")]
    query = "&".join([*options, *filter(None, [parts.query])])
    return f"{driver}://{login}{at}{parts.path}?{query}"


DatabaseUrl = Annotated[
    str,
    AfterValidator(_with_driver),
    _address(
        *("postgresql+asyncpg://", "sqlite+aiosqlite:///"),
        write="postgresql://user:password@host/name or sqlite:///path",
    ),
]
"""Of PostgreSQL or SQLite; one without a driver gets the one that the runtime has."""
HttpUrl = Annotated[
    str,
    _address("http://", "https://", write="http://host:port or https://host"),
    AfterValidator(lambda url: url.rstrip("/")),
]
"""Without a slash at its end."""
Port = Annotated[int, Field(ge=0, le=65535)]
"""A port to listen on; 0 takes a free one."""
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LogFormat = Literal["json", "console"]
"""`json` for containers, `console` for people."""


class SettingsError(Exception):
    """The environment lacks something or holds nonsense; `str` is the finished line."""


def load_settings(model: type[M], environ: Mapping[str, str] | None = None) -> M:
    """Return the settings of a service: a model whose fields are its variables in lower case.

    An empty variable counts as missing, as Compose passes an unset one. Values never appear in an
    error, since some of them are secrets.

    Raises:
        SettingsError: names every variable that is missing or wrong, and where to set it.
    """
    environ = os.environ if environ is None else environ
    values = {}
    for field in model.model_fields:
        value = _read(field.upper(), environ)
        if value:
            values[field] = value
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None


def exit_with(error: SettingsError, service: str) -> NoReturn:
    """Say what is wrong and exit with EX_CONFIG (78), which no restart will mend."""
    sys.stderr.write(f"{service}: {error}\n")
    raise SystemExit(os.EX_CONFIG)


def _read(name: str, environ: Mapping[str, str]) -> str:
    path = environ.get(f"{name}_FILE")
    if not path:
        return environ.get(name, "").strip()
    if environ.get(name):
        raise SettingsError(f"{name} and {name}_FILE are both set; set one of them")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError(f"{name}_FILE names {path}, which cannot be read: {reason}") from None


def _explain(error: ValidationError) -> str:
    """Return one line that names every variable at fault, without any value."""
    missing, wrong = [], []
    for fault in error.errors(include_input=False, include_url=False, include_context=False):
        name = ".".join(map(str, fault["loc"])).upper()
        if fault["type"] == "missing":
            missing.append(name)
        else:
            wrong.append(f"{name} is wrong: {fault['msg'].removeprefix('Value error, ')}")
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        names = " and ".join(missing)
        wrong.insert(0, f"{names} {verb} missing: set it in .env or the environment")
    return "; ".join(wrong)
