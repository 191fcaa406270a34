"""A Bot API server that answers whatever a test wants: what no simulator would ever say."""

import asyncio
import json
from collections import deque
from typing import Any, Self

from aiohttp import web

Json = dict[str, Any]
OddAnswer = bytes | tuple[int, bytes]
"""A body that comes with status 200, or a status and a body."""
LONGEST_POLL = 0.05


class OddTelegram:
    """Answers as Telegram does, except where a test has put an answer before.

    `odd` holds the answers that are still to be given, by method; `calls` what was asked so far.
    Updates wait in `updates` until a later offset confirms them.
    """

    def __init__(self, bot_id: int = 42) -> None:
        self.bot_id = bot_id
        self.odd: dict[str, deque[OddAnswer]] = {}
        self.calls: list[tuple[str, Json]] = []
        self.updates: list[Json] = []
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/bot{token}/{method}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def answer(self, method: str, *answers: OddAnswer) -> None:
        """Give these answers to the next calls of a method."""
        self.odd.setdefault(method, deque()).extend(answers)

    def called(self, method: str) -> list[Json]:
        """Return the parameters of each call of a method."""
        return [parameters for name, parameters in self.calls if name == method]

    @property
    def waiting_answers(self) -> int:
        """Return how many odd answers nobody has been given yet."""
        return sum(map(len, self.odd.values()))

    async def _answer(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        parameters = {**request.query, **await request.post()}
        self.calls.append((method, parameters))
        if self.odd.get(method):
            answer = self.odd[method].popleft()
            status, body = answer if isinstance(answer, tuple) else (200, answer)
            return web.Response(status=status, body=body, content_type="application/json")
        result = await self._result(method, parameters)
        return web.json_response({"ok": True, "result": result})

    async def _result(self, method: str, parameters: Json) -> Any:
        if method == "getMe":
            return {"id": self.bot_id, "is_bot": True, "first_name": "Bot", "username": "odd_bot"}
        if method == "getUpdates":
            return await self._poll(int(parameters.get("offset", 0)))
        if method == "sendMessage":
            chat = {"id": int(parameters["chat_id"]), "type": "private", "first_name": "Ada"}
            return {"message_id": len(self.calls), "date": 1, "chat": chat, "text": "sent"}
        return True

    async def _poll(self, offset: int) -> list[Json]:
        self.updates = [update for update in self.updates if update["update_id"] >= offset]
        if not self.updates:
            await asyncio.sleep(LONGEST_POLL)
        return self.updates


def as_body(result: Any) -> bytes:
    """Return the body of a good answer with a result."""
    return json.dumps({"ok": True, "result": result}).encode()
