"""Registering users with the backend, over HTTP; nothing else of the bot goes that way.

It is done in the background: an update is confirmed without it, and a backend that hangs holds
nobody up. A registration is no event: a bot that dies forgets those under way, and the user can
/start again.
"""

import asyncio
from collections.abc import Callable
from enum import Enum
from functools import partial
from time import monotonic

import httpx
import structlog

from shared.generated.schemas import UserCreate
from tg_bot.settings import NOBODY

log = structlog.get_logger(__name__)

TIMEOUT = 3.0
"""Seconds that one registration may take."""
CONCURRENCY = 16
CAPACITY = 1_000
"""Registrations that may be under way or wait; those beyond fail at once."""
FAILURES = 5
"""Failures in a row after which the backend is left alone for a while."""
PAUSE = 10.0
"""Seconds for which registrations fail at once after that."""


class Registration(Enum):
    """What became of a user's registration."""

    NEW = "new"
    KNOWN = "known"
    FAILED = "failed"
    UNASKED = "unasked"  # nobody keeps users


class Users:
    """The backend's user API at one base URL, or `none`, where nobody keeps users."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._client: httpx.AsyncClient | None = None
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._registering: set[asyncio.Task[Registration]] = set()
        self._failures = 0
        self._closed_until = 0.0

    def register(self, user: UserCreate, then: Callable[[Registration], None]) -> None:
        """Make sure that the backend knows a user, in the background.

        Args:
            user: who it is.
            then: called once with the outcome; `FAILED` means that a later try may work.
        """
        if self._base_url == NOBODY:
            then(Registration.UNASKED)
            return
        if len(self._registering) >= CAPACITY:
            then(Registration.FAILED)
            return
        task = asyncio.create_task(self._register(user), name=f"register {user.id}")
        self._registering.add(task)
        task.add_done_callback(partial(self._registered, then))

    async def close(self, grace: float = 0.0) -> None:
        """Give what is under way `grace` seconds, fail the rest, close the connections."""
        if self._registering:
            await asyncio.wait(self._registering, timeout=grace)
        for task in self._registering:
            task.cancel()
        await asyncio.gather(*self._registering, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _register(self, user: UserCreate) -> Registration:
        async with self._slots:
            if monotonic() < self._closed_until:
                return Registration.FAILED
            outcome = await self._post(user)
        self._failures = self._failures + 1 if outcome is Registration.FAILED else 0
        if self._failures >= FAILURES:
            self._closed_until = monotonic() + PAUSE
        return outcome

    async def _post(self, user: UserCreate) -> Registration:
        if self._client is None:
            self._client = httpx.AsyncClient(base_url=self._base_url)
        try:
            async with asyncio.timeout(TIMEOUT):
                response = await self._client.post(
                    "/users", json=user.model_dump(), timeout=TIMEOUT
                )
        except (httpx.HTTPError, TimeoutError) as error:
            log.warning("user sync failed", user=user.id, reason=type(error).__name__)
            return Registration.FAILED
        if response.status_code == httpx.codes.CREATED:
            return Registration.NEW
        if response.status_code == httpx.codes.CONFLICT:
            return Registration.KNOWN
        log.warning("user sync failed", user=user.id, status=response.status_code)
        return Registration.FAILED

    def _registered(
        self, then: Callable[[Registration], None], task: asyncio.Task[Registration]
    ) -> None:
        """Report an outcome; what was cancelled, or broke in a new way, has failed."""
        self._registering.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("user sync broke", error=type(error).__name__)
        failed = task.cancelled() or task.exception() is not None
        then(Registration.FAILED if failed else task.result())
