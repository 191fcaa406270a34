"""A claim that cannot fail is none: each is seen to fail, and each protection to be needed."""

from dataclasses import replace

import pytest

from tests.chaos.faults import Fault
from tests.chaos.ledger import Findings, Sent, judge
from tests.chaos.rig import Rig
from tests.chaos.run import Plan, Run
from tests.chaos.streams_alone import StreamsAlone
from tests.chaos.whole_path import WholePath

SENT = [
    Sent("1:1", 7, "a"),
    Sent("1:2", 8, "b"),
    Sent("1:3", 7, "c"),
    Sent("1:4", 9, "d", bad=True),
]
EVENTS = [("1:1", "a"), ("1:2", "b"), ("1:3", "c")]
GOOD = Findings(
    stream=EVENTS,
    refused=["1:4"],
    unhandled=[],
    table=EVENTS,
    pending=0,
    lag=0,
    informed=frozenset({9}),
)
ODD = replace(GOOD, odd=[Sent("1:8", 6, "?")], kept=["1:8"], told_kept=frozenset({6}))


def test_what_is_as_it_should_be_breaks_no_claim() -> None:
    """Everything sent is in the stream and the table once, or refused and told."""
    verdict = judge(SENT, GOOD)
    assert (verdict.sent, verdict.refused, verdict.lost, verdict.doubled) == (4, 1, 0, 0)
    assert verdict.broken == []


@pytest.mark.parametrize(
    ("findings", "claims"),
    [
        (replace(GOOD, stream=EVENTS[:2], table=EVENTS[:2]), {"lost"}),
        (replace(GOOD, stream=[*EVENTS, EVENTS[2]]), {"doubled"}),
        (replace(GOOD, refused=["1:4", "1:4"]), {"doubled"}),
        (
            replace(GOOD, refused=["1:4", "1:3"]),
            {"doubled", "in the stream and refused too", "refused without a reason", "refused and"},
        ),
        (replace(GOOD, stream=[*EVENTS, ("9", "x")]), {"never sent", "in the stream but not in"}),
        (replace(GOOD, stream=[("1:1", "?"), *EVENTS[1:]]), {"changed on the way"}),
        (replace(GOOD, table=[("1:1", "?"), *EVENTS[1:]]), {"changed on the way"}),
        (replace(GOOD, stream=EVENTS[::-1]), {"order of a user"}),
        (replace(GOOD, table=EVENTS[:2]), {"in the stream but not in the table"}),
        (replace(GOOD, table=[*EVENTS, EVENTS[0]]), {"in the table more than once"}),
        (replace(GOOD, unhandled=["1:1"]), {"given up by the consumer"}),
        (replace(GOOD, unhandled=["1:1"], deadly=frozenset({"1:1"})), set()),
        (
            replace(GOOD, replayed=["1:1"], audited=["1:1"]),
            set(),
        ),
        (replace(GOOD, replayed=["1:1"]), {"replayed, but"}),
        (replace(GOOD, audited=["1:1"]), {"replayed, but"}),
        (ODD, set()),
        (replace(ODD, kept=[]), {"odd, and not kept"}),
        (replace(ODD, kept=["1:8", "1:8"]), {"odd, and not kept"}),
        (replace(ODD, told_kept=frozenset()), {"odd, and not told"}),
        (replace(ODD, told_kept=frozenset(), informed=frozenset({9, 6})), {"odd, and not told"}),
        (replace(ODD, no_room=frozenset({"1:8"})), {"odd, and not told"}),
        (replace(ODD, no_room=frozenset({"1:8"}), informed=frozenset({9, 6})), set()),
        (replace(GOOD, deadly=frozenset({"1:1"})), {"deadly, but not given up"}),
        (replace(GOOD, table=EVENTS[1:], deadly=frozenset({"1:1"}), unhandled=["1:1"]), set()),
        (replace(GOOD, pending=1), {"pending in the group"}),
        (replace(GOOD, lag=1), {"not read by the group"}),
        (replace(GOOD, lag=None), {"not read by the group"}),
        (replace(GOOD, informed=frozenset()), {"refused and not told"}),
    ],
)
def test_each_claim_can_be_broken(findings: Findings, claims: set[str]) -> None:
    """What is not as it should be is told, under the claim that it breaks and no other."""
    broken = judge(SENT, findings).broken
    assert len(broken) == len(claims), broken
    assert all(any(line.startswith(claim) for line in broken) for claim in claims), broken


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("make", "protection", "fault", "claim"),
    [
        (WholePath, "confirming late", "bot: SIGKILL before publish", "lost"),
        (WholePath, "telling the sender", "redis: SCRIPT FLUSH", "refused and not told"),
        (StreamsAlone, "remembering ids", "publisher: SIGKILL after publish", "doubled"),
        (StreamsAlone, "the guard of the file", "redis: torn write", "doubled"),
        (StreamsAlone, "keeping order", "redis: SCRIPT FLUSH", "order of a user"),
        (
            StreamsAlone,
            "acknowledging late",
            "consumer: SIGKILL before commit",
            "in the stream but",
        ),
        (StreamsAlone, "claiming", "consumer: SIGKILL after read", "pending in the group"),
        (
            StreamsAlone,
            "the inbox",
            "consumer: SIGKILL after commit",
            "in the table more than once",
        ),
    ],
)
async def test_each_protection_is_needed(
    make: type[Rig], protection: str, fault: str, claim: str
) -> None:
    """Without it, the fault that it protects from breaks the claim that it stands for."""

    def only(dealt: Fault) -> bool:
        return f"{dealt.part}: {dealt.name}".startswith(fault)

    async with make(protection) as rig:
        # Four tears: one within the first event of its batch leaves nothing that could be doubled.
        kills = {"redis: SCRIPT FLUSH": 0, "redis: torn write": 8}.get(fault, 2)
        plan = Plan(1, updates=600, kills=kills, bad=0.05, settle=15)
        result = await Run(rig, plan, lambda _: None, only)()
    assert any(line.startswith(claim) for line in result.verdict.broken), result.verdict.broken
