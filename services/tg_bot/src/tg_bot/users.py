"""Registering users with the backend, over HTTP; nothing else of the bot goes that way."""

from enum import Enum

import httpx
import structlog
from telegram import User

from shared.generated.schemas import UserCreate

log = structlog.get_logger(__name__)

TIMEOUT = 3.0
"""Seconds; the update that caused the call is not confirmed to Telegram before it is over."""


class Registration(Enum):
    """What became of a user's registration."""

    NEW = "new"
    KNOWN = "known"
    FAILED = "failed"


class Users:
    """The backend's user API at one base URL."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._client: httpx.AsyncClient | None = None

    async def register(self, user: User) -> Registration:
        """Make sure that the backend knows a user; `FAILED` means that a later try may work."""
        if self._client is None:
            self._client = httpx.AsyncClient(base_url=self._base_url, timeout=TIMEOUT)
        body = UserCreate(
            id=user.id,
            first_name=user.first_name,
            last_name=user.last_name,
            username=user.username,
            language_code=user.language_code,
        )
        try:
            response = await self._client.post("/users", json=body.model_dump())
        except httpx.HTTPError as error:
            log.warning("user sync failed", user=user.id, reason=type(error).__name__)
            return Registration.FAILED
        if response.status_code == httpx.codes.CREATED:
            return Registration.NEW
        if response.status_code == httpx.codes.CONFLICT:
            return Registration.KNOWN
        log.warning("user sync failed", user=user.id, status=response.status_code)
        return Registration.FAILED

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None
