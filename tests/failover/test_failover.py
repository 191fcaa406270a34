"""Whatever happens to one of three servers, a confirmed event is there, once."""

import os

import pytest

from tests.failover.hosts import NO_NAMESPACES, can_make_namespaces, three_hosts
from tests.failover.run import FAULTS, Run


def say(line: str) -> None:
    """Write one line."""
    print(line, flush=True)  # noqa: T201 — what a run of minutes does


@pytest.mark.timeout(900)
async def test_nothing_is_lost_or_doubled(capsys: pytest.CaptureFixture[str]) -> None:
    """One of each fault, while events are published and handled."""
    if not can_make_namespaces():
        if os.environ.get("CI") == "true":
            pytest.fail(NO_NAMESPACES, pytrace=False)
        pytest.skip(NO_NAMESPACES)
    with capsys.disabled(), three_hosts() as (network, copies):
        run = Run(network, copies, 20261129, say)
        broken = await run(list(FAULTS))
        say(f"{len(run.confirmed):,} confirmed, {sum(run.handled.values()):,} deliveries")
    assert broken == []
    assert len(run.confirmed) > 100
