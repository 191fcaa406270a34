"""How the stack is: each part asked whether it works, which version it is, and in which role.

What there is stands in stack.json beside the generated events, with the layout of the picture:
`make sync-services` renders it of services.yml.
"""

import asyncio
import json
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from http.client import HTTPConnection, HTTPException
from importlib.resources import files
from time import monotonic
from typing import Any
from urllib.parse import urlencode, urlsplit

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.addresses import SENTINEL_SCHEME, parse_sentinel_url
from shared.process import describe
from shared.streams.server.sentinels import Sentinels
from shared.tail.entries import Content
from shared.tail.follow import connection

Server = Callable[[], Awaitable[Iterable[tuple[str, str, str, str]]]]
"""Tells of each copy of the database how it is (`works`), its version, its role and its address;
raises where it does not answer."""

ADDRESSES = r"^(\w+=http://\S+( +\w+=http://\S+)*)?$"
"""The form of addresses."""
PATIENCE = 1.5
"""Seconds that a part has to answer."""
FRESH = 1.0
"""Seconds for which what was seen is shown to whoever else asks."""
MOST_METRICS = 2_000_000
"""Bytes of metrics that are read."""
OK = 200
VERSION = re.compile(r'_build_info\{[^}]*\bversion="([^"]*)"')
POLLS = re.compile(r"^herald_polls (\S+)", re.MULTILINE)
ROLES = {"0.0": "stands by", "1.0": "polls"}
LAYOUT = files("shared.generated").joinpath("stack.json")

GOOD, BAD, AWAY, UNKNOWN = "good", "bad", "away", "unknown"
"""It works; it does not; a developer may have left it out; nobody can ask it."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One process, or one copy of a store.

    Attributes:
        state: as above.
        note: the same in words.
        version: its version; '' where it does not tell.
        role: what it does that others like it do not; '' where there is nothing of the kind.
        address: where it is; '' where that says nothing.
    """

    state: str
    note: str
    version: str = ""
    role: str = ""
    address: str = ""


class Stack:
    """Looks how every part of the stack is, at most once a second.

    Args:
        redis_url: where the streams are.
        addresses: health checks as `NAME=URL`, with blanks between; '' for the names of Compose.
        server: tells what the database is; None where there is none here.
    """

    def __init__(self, redis_url: str, addresses: str, server: Server | None) -> None:
        self._redis_url, self._server = redis_url, server
        self._layout: Content = json.loads(LAYOUT.read_bytes()) if LAYOUT.is_file() else {}
        self._parts: list[Content] = self._layout.get("parts", [])
        given = dict(word.split("=", 1) for word in addresses.split())
        self._health: Mapping[str, str] = given or {it["name"]: it["health"] for it in self._parts}
        self._seen: set[str] = set()
        self._looking = asyncio.Lock()
        self._looked = -FRESH
        self._last: list[Content] = []

    async def look(self) -> Content:
        """Return `picture`, the layout or null, and `parts`, each with its `instances`."""
        async with self._looking:
            if monotonic() >= self._looked + FRESH:
                self._last = list(await asyncio.gather(*map(self._part, self._parts)))
                self._looked = monotonic()
        return {"picture": self._layout.get("picture"), "parts": self._last}

    async def moments(self, source: str, event_id: str) -> Mapping[str, str]:
        """Return when the update of an event was fetched, handled, confirmed, as its bot knows it.

        Args:
            source: who has published the event, as `/NAME` of a service.
            event_id: the event.
        """
        url = self._health.get(source.strip("/"))
        return await asyncio.to_thread(_moments, url, event_id) if url else {}

    async def _part(self, part: Content) -> Content:
        name = part["name"]
        if part["type"] == "redis":
            instances = await self._redis()
        elif part["type"] == "postgres":
            instances = await self._database()
        elif url := self._health.get(name):
            instances = await asyncio.to_thread(lambda: list(_ask(url)))
        else:
            word = "not started here" if part["health"] else "has no health check over HTTP"
            instances = [Instance(AWAY if part["health"] else UNKNOWN, word)]
        if any(it.state == GOOD for it in instances):
            self._seen.add(name)
        elif instances[0].state == BAD and part["optional"] and name not in self._seen:
            instances = [Instance(AWAY, "has not answered yet")]
        state = next((it.state for it in instances if it.state != GOOD), GOOD)
        return {"name": name, "state": state, "instances": [asdict(it) for it in instances]}

    async def _redis(self) -> list[Instance]:
        client = connection(self._redis_url)
        try:
            async with asyncio.timeout(PATIENCE):
                info = await client.info()
                primary = await _primary(self._redis_url, client)
        except (RedisError, OSError) as error:
            return [Instance(BAD, describe(error))]
        finally:
            await client.aclose()
        valkey = info.get("valkey_version")
        version = f"Valkey {valkey}" if valkey else str(info["redis_version"])
        copies = [info[f"slave{number}"] for number in range(info["connected_slaves"])]
        alone = info["role"] == "master" and not copies
        role = "" if alone else "primary" if info["role"] == "master" else "replica"
        return [Instance(GOOD, "works", version, role, primary), *map(_copy, copies)]

    async def _database(self) -> list[Instance]:
        if self._server is None:
            return [Instance(UNKNOWN, "nobody here can ask it")]
        try:
            async with asyncio.timeout(PATIENCE):
                copies = await self._server()
        except Exception as error:  # noqa: BLE001 — whatever it is, the database does not answer
            return [Instance(BAD, describe(error))]
        return [Instance(GOOD if copy[0] == "works" else BAD, *copy) for copy in copies]


async def _primary(url: str, client: Redis) -> str:
    """Return where the Redis is that is written to."""
    if url.startswith(SENTINEL_SCHEME):
        address = parse_sentinel_url(url)
        return ":".join(map(str, await Sentinels(address.sentinels, address.service).primary()))
    given: dict[str, Any] = client.connection_pool.connection_kwargs
    return f"{given['host']}:{given['port']}" if "host" in given else ""


def _copy(copy: Mapping[str, Any]) -> Instance:
    online = copy["state"] == "online"
    note = "works" if online else str(copy["state"])
    address = f"{copy['ip']}:{copy['port']}"
    return Instance(GOOD if online else BAD, note, role="replica", address=address)


def _ask(url: str) -> Iterable[Instance]:
    """Yield how each container behind a name is."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    addresses = _addresses(host, port)
    if not addresses:
        yield Instance(BAD, "is not there")
    for address in addresses:
        yield _ask_at(address, port, parts.netloc, parts.path)


def _moments(url: str, event_id: str) -> Mapping[str, str]:
    """Return what the first container knows that knows anything."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    path = f"/moments?{urlencode({'id': event_id})}"
    for address in _addresses(host, port):
        try:
            status, text = _get(address, port, parts.netloc, path)
            known = json.loads(text) if status == OK else {}
        except (OSError, HTTPException, ValueError):
            continue
        if isinstance(known, dict) and known:
            return {str(what): str(time) for what, time in known.items()}
    return {}


def _addresses(host: str, port: int) -> list[str]:
    """Return every address behind a name; none where there is none."""
    try:
        known = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return sorted({str(it[4][0]) for it in known})


def _ask_at(address: str, port: int, host: str, path: str) -> Instance:
    where = f"{address}:{port}"
    try:
        status, _ = _get(address, port, host, path)
        if status != OK:
            return Instance(BAD, f"answers {status}", address=where)
        status, metrics = _get(address, port, host, "/metrics")
    except (OSError, HTTPException) as error:
        silent = isinstance(error, TimeoutError)
        return Instance(BAD, "is silent" if silent else "does not answer", address=where)
    text = metrics if status == OK else ""
    version, polls = VERSION.search(text), POLLS.search(text)
    role = ROLES.get(polls[1], "") if polls else ""
    return Instance(GOOD, "works", version[1] if version else "", role, where)


def _get(address: str, port: int, host: str, path: str) -> tuple[int, str]:
    """Return status and body of an answer."""
    line = HTTPConnection(address, port, timeout=PATIENCE)
    try:
        line.request("GET", path, headers={"Host": host})
        answer = line.getresponse()
        return answer.status, answer.read(MOST_METRICS).decode(errors="replace")
    finally:
        line.close()
