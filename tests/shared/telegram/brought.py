"""A bot to whom updates are brought, what a simulator knows of its webhook, and what came of it."""

import asyncio
import json
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any, Self

from shared.telegram.updates.webhook import SECRET_HEADER, secret_of
from telegram_sim.client import SimClient
from tests.processes import TOKEN, Service
from tests.servers import RedisServer, free_port
from tests.shared.telegram import held_bot

PATH = "/telegram/held_bot"
SECRET = {SECRET_HEADER: secret_of(TOKEN)}


def bot(
    redis_url: str, telegram_url: str, held_by: Path, host: str = "127.0.0.1", port: int = 0
) -> Service:
    """Return a bot to whom updates are brought at an address of this machine."""
    service = held_bot.bot(redis_url, telegram_url, held_by)
    bring_to(service, host, port or free_port(), name=host)
    return service


def bring_to(service: Service, host: str, port: int, *, name: str = "bot.example") -> None:
    """Have updates brought to a bot at an address, under a name; an address needs no other."""
    service.variables |= {
        "WEBHOOK_URL": f"http://{name}:{port}{PATH}",
        "WEBHOOK_IP_ADDRESS": "" if name == host else host,
        "WEBHOOK_HOST": host,
        "WEBHOOK_PORT": str(port),
    }


def polling(brought: Service) -> Service:
    """Return the same bot, but one that polls."""
    service = Service(brought.name, **brought.variables)
    service.variables["WEBHOOK_URL"] = ""
    return service


async def ask(telegram_url: str, method: str, **parameters: str) -> Any:
    """Return what the Bot API answers."""
    data = json.dumps(parameters).encode()
    request = urllib.request.Request(  # noqa: S310 — http, of this test
        f"{telegram_url}/bot{TOKEN}/{method}", data, {"Content-Type": "application/json"}
    )
    with await asyncio.to_thread(urllib.request.urlopen, request) as response:
        return json.load(response)["result"]


async def bring(
    service: Service, body: bytes, headers: dict[str, str], *, method: str = "POST", path: str = ""
) -> tuple[int, dict[str, str]]:
    """Send something to a bot's webhook as Telegram would; return status and headers."""
    url = service.variables["WEBHOOK_URL"].removesuffix(PATH) + (path or PATH)
    request = urllib.request.Request(url, body or None, headers, method=method)  # noqa: S310 — as above
    try:
        with await asyncio.to_thread(urllib.request.urlopen, request) as response:
            return response.status, dict(response.headers)
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers)


def published(server: RedisServer) -> list[tuple[str, int, str]]:
    """Return id, user and text of each command in the stream."""
    entries = [
        json.loads(fields[b"__data__"]) for _, fields in server.client().xrange("command_received")
    ]
    return [(each["id"], each["data"]["user_id"], each["data"]["command"]) for each in entries]


def judge(server: RedisServer, sent: list[tuple[int, str]]) -> dict[str, int]:
    """Return how many commands were lost, doubled, and out of their user's order.

    Args:
        server: where they are.
        sent: user and text of each, in order; each text is sent once.
    """
    there = published(server)
    counts = Counter(text for _, _, text in there)
    ids = Counter(event_id for event_id, _, _ in there)
    disordered = sum(
        [text for _, of, text in there if of == user] != [text for of, text in sent if of == user]
        for user in {user for user, _ in sent}
    )
    return {
        "lost": len({text for _, text in sent} - counts.keys()),
        "doubled": sum(count > 1 for count in (*counts.values(), *ids.values())),
        "disordered": disordered,
    }


KEPT = {"lost": 0, "doubled": 0, "disordered": 0}


class Stream:
    """Ten users who write a command each, again and again, until the context is left."""

    def __init__(self, telegram: SimClient) -> None:
        self.sent: list[tuple[int, str]] = []
        self._telegram = telegram
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._write())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def more(self, count: int) -> None:
        """Return when so many more commands have been written."""
        wanted = len(self.sent) + count
        async with asyncio.timeout(30):
            while len(self.sent) < wanted:
                await asyncio.sleep(0.05)

    async def _write(self) -> None:
        while True:
            number = len(self.sent)
            user, text = 100 + number % 10, f"/command {number}"
            self.sent.append((user, text))  # before: whether a write that is cancelled came is open
            await asyncio.shield(self._telegram.write(text, user=user))
            await asyncio.sleep(0.03)
