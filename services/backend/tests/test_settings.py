"""The backend's variables: what is accepted, and what a refusal says."""

from pathlib import Path

import pytest

from backend.settings import Settings
from shared.settings import SettingsError, load_settings

GOOD = {
    "DATABASE_URL": "postgresql+asyncpg://u:p@postgres/herald",
    "REDIS_URL": "redis://redis:6379",
}


def test_two_variables_are_enough() -> None:
    """The rest has defaults that expose nothing to the network."""
    settings = load_settings(Settings, GOOD)
    assert (settings.http_host, settings.http_port) == ("127.0.0.1", 8000)
    assert (settings.log_level, settings.log_format) == ("INFO", "console")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql+asyncpg://u:p@h:5433/d?ssl=require"),
        ("DATABASE_URL", "sqlite+aiosqlite:////var/lib/herald.db"),
        ("REDIS_URL", "redis://backend:secret@redis:6379/0"),
        ("REDIS_URL", "rediss://redis"),
        ("REDIS_URL", "unix:///run/redis.sock"),
        ("HTTP_PORT", "0"),
    ],
)
def test_a_good_value_is_taken_as_it_is(name: str, value: str) -> None:
    """Whatever the drivers know."""
    assert str(getattr(load_settings(Settings, {**GOOD, name: value}), name.lower())) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql+psycopg://u:hush@h/d"),
        ("DATABASE_URL", "postgresql+asyncpg://u:hush@h:port/d"),
        ("DATABASE_URL", "mysql+aiomysql://u:hush@h"),
        ("DATABASE_URL", "sqlite+aiosqlite://"),
        ("REDIS_URL", "hush:6379"),
        ("REDIS_URL", "redis://:hush@h:port"),
        ("HTTP_PORT", "eighty"),
        ("HTTP_PORT", "65536"),
        ("HTTP_PORT", "-1"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_a_bad_value_is_named_and_not_shown(name: str, value: str) -> None:
    """One line with the variable and the rule; the value may hold a password."""
    with pytest.raises(SettingsError) as refused:
        load_settings(Settings, {**GOOD, name: value})
    message = str(refused.value)
    assert message.startswith(f"{name} is wrong: ")
    assert "hush" not in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("postgresql://u:p@h/d", "postgresql+asyncpg://u:p@h/d"),
        ("sqlite:////var/lib/herald.db", "sqlite+aiosqlite:////var/lib/herald.db"),
    ],
)
def test_an_address_without_a_driver_gets_the_one_that_is_there(url: str, taken: str) -> None:
    """Most tools write it so."""
    assert load_settings(Settings, {**GOOD, "DATABASE_URL": url}).database_url == taken


def test_the_database_may_come_from_a_file(tmp_path: Path) -> None:
    """As Docker secrets do; a line end is no part of it."""
    secret = tmp_path / "url"
    secret.write_text(GOOD["DATABASE_URL"] + "\n")
    environ = {"DATABASE_URL_FILE": str(secret), "REDIS_URL": GOOD["REDIS_URL"]}
    assert load_settings(Settings, environ).database_url == GOOD["DATABASE_URL"]
