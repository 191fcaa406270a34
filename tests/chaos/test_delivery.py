"""Every command is in the stream once and in the table once, or refused, whatever is killed."""

import pytest

from tests.chaos.__main__ import say
from tests.chaos.redis_part import FULL
from tests.chaos.rig import Rig
from tests.chaos.run import Plan, Run
from tests.chaos.streams_alone import StreamsAlone
from tests.chaos.whole_path import WholePath

IN_A_WRITE = "redis: SIGKILL in a write"
REPLAYED = "dead letters: two of one command, replayed"


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("make", "plan", "rare"),
    [
        (
            StreamsAlone,
            Plan(20260205, updates=4_000, kills=14),
            {IN_A_WRITE, FULL, REPLAYED, "consumer: SIGKILL by an entry"},
        ),
        (WholePath, Plan(20260131, updates=10_000, kills=40), {IN_A_WRITE, FULL}),
    ],
    ids=["publisher and consumer alone", "whole path"],
)
async def test_nothing_is_lost_or_doubled(
    make: type[Rig], plan: Plan, rare: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Stream and refusals make up what was sent, each once, in order; the table is the stream."""
    with capsys.disabled():
        async with make() as rig:
            result = await Run(rig, plan, say)()
        say(f"\n{result.table()}\n")
    assert result.verdict.broken == []
    assert result.verdict.sent >= plan.updates
    assert result.kills >= plan.kills
    assert rare <= result.faults.keys()
