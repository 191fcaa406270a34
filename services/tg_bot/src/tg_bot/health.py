"""`GET /health`: 200 only when updates are being fetched and Redis takes writes."""

from aiohttp import web

from tg_bot.broker import redis_memory_used, redis_takes_writes
from tg_bot.polling import PollState


class Health:
    """The HTTP server that Compose's health check asks."""

    def __init__(self, state: PollState) -> None:
        self._state = state
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen; raises OSError where the port is taken."""
        app = web.Application()
        app.router.add_get("/health", self._answer)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, _request: web.Request) -> web.Response:
        polls = self._state.moves
        writes = await redis_takes_writes()
        age, memory = self._state.age, await redis_memory_used()
        body = {
            "status": "ok" if polls and writes else "unavailable",
            "role": "active" if self._state.active else "standby",
            "polling": polls,
            "redis_writable": writes,
            "redis_memory_used": None if memory is None else round(memory, 3),
            "seconds_since_get_updates": None if age is None else round(age, 1),
            "failures": self._state.failures,
            "conflicts": self._state.conflicts,
            "reason": self._state.failing,
        }
        return web.json_response(body, status=200 if polls and writes else 503)
