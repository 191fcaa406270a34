"""Addresses that name several servers of one thing, of which one takes writes at a time.

    redis+sentinel://USER:PASSWORD@HOST1:26379,HOST2:26379,HOST3:26379/SERVICE[/DB]

SERVICE is the name by which the Sentinels know their primary; user and password are those of Redis,
percent-encoded where they hold what an address cannot. Without a port it is 26379.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

SENTINEL_SCHEME = "redis+sentinel://"
SENTINEL_PORT = 26379


@dataclass(frozen=True, slots=True)
class SentinelAddress:
    """Whom to ask for the primary of a Redis with copies, and who one is to it."""

    sentinels: tuple[tuple[str, int], ...]
    service: str
    database: int = 0
    username: str | None = None
    password: str | None = None

    @property
    def login(self) -> dict[str, Any]:
        """What a client of redis-py is told besides the primary's place."""
        return {"db": self.database, "username": self.username, "password": self.password}


def parse_sentinel_url(url: str) -> SentinelAddress:
    """Return what a redis+sentinel:// address says.

    Raises:
        ValueError: it lacks a host or the service, names a Sentinel twice (it would vote twice), or
            a port or the database is no number; the text shows nothing of the address.
    """
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    sentinels = tuple(_host_and_port(host) for host in hosts.split(","))
    if len(set(sentinels)) < len(sentinels):
        raise ValueError("a Sentinel is named twice")
    service, _, database = parts.path.strip("/").partition("/")
    if not url.startswith(SENTINEL_SCHEME) or not service or parts.query:
        raise ValueError("no address of Sentinels")
    username, _, password = login.partition(":")
    return SentinelAddress(
        sentinels=sentinels,
        service=unquote(service),
        database=int(database or 0),
        username=unquote(username) or None,
        password=unquote(password) or None,
    )


def _host_and_port(host: str) -> tuple[str, int]:
    parts = urlsplit(f"//{host}")
    if not parts.hostname or parts.port == 0:
        raise ValueError("a Sentinel has no host")
    return parts.hostname, parts.port or SENTINEL_PORT
