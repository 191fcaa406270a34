"""Readiness tells every reason why a worker does not do its work."""

from collections.abc import Callable

import pytest

from shared.generated.events import broker
from shared.inbox import Subscriber, health_of, readiness
from shared.inbox.ready import MAX_LAG, MAX_PENDING_SECONDS
from tests.inbox.ledger import Ledger, new_ledger
from tests.servers import RedisServer

Connect = Callable[[str], Ledger]


@pytest.fixture
def consumes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever services have been imported: their subscriptions are not this process's."""
    monkeypatch.setattr(type(broker), "consumers", ())


FINE = Subscriber(
    stream="said", group="ledger", running=True, lag=0, pending=0, oldest_pending_seconds=None
)


def test_a_subscriber_that_keeps_up_has_no_fault() -> None:
    """A lag that Redis cannot tell is none either."""
    assert FINE.faults == []
    assert FINE.model_copy(update={"lag": None}).faults == []
    busy = {"lag": MAX_LAG, "pending": 64, "oldest_pending_seconds": MAX_PENDING_SECONDS}
    assert FINE.model_copy(update=busy).faults == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"running": False}, "said: the subscriber is not running"),
        ({"lag": 10_001}, "said: 10001 entries behind, 10000 are allowed"),
        (
            {"pending": 1, "oldest_pending_seconds": 75.4},
            "said: an entry has been pending for 75 s",
        ),
    ],
)
def test_every_fault_of_a_subscriber_is_a_reason(change: dict[str, object], reason: str) -> None:
    """Stopped, too far behind, stuck on an entry."""
    assert FINE.model_copy(update=change).faults == [reason]


@pytest.mark.usefixtures("consumes_nothing")
async def test_a_database_that_answers_is_no_reason(ledger: Ledger) -> None:
    """Nothing else is asked where nothing is consumed."""
    assert (await readiness(ledger.database)).ready
    healthy, details = await health_of(ledger.database)()
    assert healthy
    assert details == {"reasons": (), "subscribers": (), "redis_memory_used": None}


@pytest.mark.usefixtures("consumes_nothing")
async def test_a_database_that_is_away_is_a_reason(connect_to: Connect) -> None:
    """Not there, or not asked for yet: the reason says which."""
    away = connect_to("postgresql+asyncpg://u:p@127.0.0.1:1/d")
    (reason,) = (await readiness(away.database)).reasons
    assert reason.startswith("database: ConnectionRefusedError")
    (reason,) = (await readiness(new_ledger().database)).reasons
    assert reason == "database: RuntimeError: the database of ledger is not open"
    assert not (await health_of(away.database)())[0]


@pytest.mark.usefixtures("consumes_nothing")
async def test_a_redis_that_is_nearly_full_is_a_reason(
    ledger: Ledger, redis_server: RedisServer
) -> None:
    """Whoever operates it learns of it before the first write is refused."""
    client = redis_server.client()
    client.setrange("ballast", 20_000_000, "x")  # beside it connections weigh nothing
    await broker.connect(redis_server.url, source="/ledger")
    try:
        assert (await readiness(ledger.database)).ready
        memory = client.info("memory")
        used = memory["used_memory"] - memory["mem_not_counted_for_evict"]
        client.config_set("maxmemory", int(used / 0.9745))
        state = await readiness(ledger.database)
        assert state.reasons == (f"redis: {state.redis_memory_used:.0%} of its memory are used",)
        assert state.redis_memory_used == pytest.approx(0.975, abs=0.004)
        assert not (await health_of(ledger.database)())[0]
    finally:
        await broker.close()
