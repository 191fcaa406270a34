"""Is the process alive, and can it do its work?"""

import asyncio
from http import HTTPStatus
from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncEngine

from backend.database import probe
from shared.generated.events import Consumer, broker
from shared.process import describe

PROBE_TIMEOUT = 2.0
"""Seconds that one check may take."""
MAX_LAG = 10_000
"""Unread entries from which the backend counts as too far behind."""
MAX_PENDING_SECONDS = 60.0
"""Age from which an entry that was read but not finished with counts as stuck."""


class Health(BaseModel):
    """The process answers."""

    model_config = ConfigDict(frozen=True)

    status: Literal["ok"] = "ok"


class Subscriber(BaseModel):
    """How one subscriber stands.

    Attributes:
        stream: What it reads.
        group: The consumer group that it is a member of.
        running: Whether it reads.
        lag: Entries that the group has not read yet; null where Redis cannot tell.
        pending: Entries that the group has read but not finished with.
        oldest_pending_seconds: Age of the oldest of these.
    """

    model_config = ConfigDict(frozen=True)

    stream: str
    group: str
    running: bool
    lag: int | None = None
    pending: int | None = None
    oldest_pending_seconds: float | None = None


class Readiness(BaseModel):
    """Whether the backend can do its work, and every reason why it cannot.

    Attributes:
        ready: Whether there is no reason.
        reasons: Every reason.
        subscribers: How each of them stands.
        redis_memory_used: Share of its memory that Redis has used; null where it does not tell.
    """

    model_config = ConfigDict(frozen=True)

    ready: bool
    reasons: tuple[str, ...]
    subscribers: tuple[Subscriber, ...]
    redis_memory_used: float | None = None


def health_router(engine: AsyncEngine) -> APIRouter:
    """Return the routes `/health` and `/ready`."""
    router = APIRouter(tags=["health"])

    @router.get("/health", summary="Say that the process is alive.", operation_id="health")
    async def health() -> Health:
        return Health()

    @router.get(
        "/ready",
        summary="Say whether the backend can do its work.",
        operation_id="ready",
        responses={503: {"model": Readiness, "description": "It cannot; the reasons say why."}},
    )
    async def ready(response: Response) -> Readiness:
        found = await readiness(engine)
        if not found.ready:
            response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return found

    return router


async def readiness(engine: AsyncEngine) -> Readiness:
    """Check the database and every subscriber, all at the same time."""
    database, memory, checked = await asyncio.gather(
        _database_fault(engine),
        broker.memory(),
        asyncio.gather(*(_subscriber(consumer) for consumer in broker.consumers)),
    )
    faults = ([database] if database else []) + [fault for _, found in checked for fault in found]
    if memory is not None and memory.full:
        faults.append(f"redis: {memory.share:.0%} of its memory are used")
    reasons = tuple(dict.fromkeys(faults))
    subscribers = tuple(subscriber for subscriber, _ in checked)
    return Readiness(
        ready=not reasons,
        reasons=reasons,
        subscribers=subscribers,
        redis_memory_used=None if memory is None else round(memory.share, 3),
    )


async def _database_fault(engine: AsyncEngine) -> str | None:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            await probe(engine)
    except Exception as error:  # noqa: BLE001 — whatever it is, it is why we are not ready
        return f"database: {describe(error)}"
    return None


async def _subscriber(consumer: Consumer[Any]) -> tuple[Subscriber, list[str]]:
    stream, group = consumer.stream.name, consumer.group
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            state = await consumer.state()
    except Exception as error:  # noqa: BLE001 — the same
        subscriber = Subscriber(stream=stream, group=group, running=consumer.running)
        return subscriber, [f"redis: {describe(error)}", *faults_of(subscriber)]
    subscriber = Subscriber(
        stream=stream,
        group=group,
        running=state.running,
        lag=state.lag,
        pending=state.pending,
        oldest_pending_seconds=state.oldest_pending_seconds,
    )
    return subscriber, faults_of(subscriber)


def faults_of(subscriber: Subscriber) -> list[str]:
    """Return every reason why a subscriber does not do its work."""
    name, oldest = subscriber.stream, subscriber.oldest_pending_seconds
    faults = []
    if not subscriber.running:
        faults.append(f"{name}: the subscriber is not running")
    if subscriber.lag is not None and subscriber.lag > MAX_LAG:
        faults.append(f"{name}: {subscriber.lag} entries behind, {MAX_LAG} are allowed")
    if oldest is not None and oldest > MAX_PENDING_SECONDS:
        faults.append(f"{name}: an entry has been pending for {oldest:.0f} s")
    return faults
