"""Readiness tells every reason; the process tests turn each of them red and green again."""

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from backend.health import MAX_LAG, MAX_PENDING_SECONDS, Subscriber, faults_of

FINE = Subscriber(
    stream="command_received",
    group="backend",
    running=True,
    lag=0,
    pending=0,
    oldest_pending_seconds=None,
)


def test_a_subscriber_that_keeps_up_has_no_fault() -> None:
    """A lag that Redis cannot tell is none either."""
    assert faults_of(FINE) == []
    assert faults_of(FINE.model_copy(update={"lag": None})) == []
    busy = {"lag": MAX_LAG, "pending": 64, "oldest_pending_seconds": MAX_PENDING_SECONDS}
    assert faults_of(FINE.model_copy(update=busy)) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"running": False}, "command_received: the subscriber is not running"),
        ({"lag": 10_001}, "command_received: 10001 entries behind, 10000 are allowed"),
        (
            {"pending": 1, "oldest_pending_seconds": 75.4},
            "command_received: an entry has been pending for 75 s",
        ),
    ],
)
def test_every_fault_of_a_subscriber_is_a_reason(change: dict[str, object], reason: str) -> None:
    """Stopped, too far behind, stuck on an entry."""
    assert faults_of(FINE.model_copy(update=change)) == [reason]


async def test_ready_names_a_database_that_is_away(
    api: httpx.AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 and the reason, while /health stays green: restarting would not help."""
    assert (await api.get("/ready")).json()["ready"]
    del engine

    async def away(_engine: AsyncEngine) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr("backend.health.probe", away)
    response = await api.get("/ready")
    assert response.status_code == 503
    assert response.json()["reasons"] == [
        "database: ConnectionRefusedError: [Errno 111] Connection refused"
    ]
    assert (await api.get("/health")).status_code == 200
