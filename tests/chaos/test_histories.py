"""Random histories of publishers, lease holders, groups, dead letters, faults and days.

Nobody has written these histories down. What they consist of stands in `histories/steps.py`, how
likely it is in `likelihood.py`.
"""

from collections.abc import Sequence

import pytest

from tests.chaos.histories.likelihood import ALWAYS
from tests.chaos.histories.process import HELD, LATE
from tests.chaos.histories.search import act, search
from tests.chaos.histories.steps import (
    Contend,
    GiveBack,
    Poll,
    Replay,
    Run,
    Sleep,
    Slow,
    Step,
    Thaw,
    Write,
)
from tests.chaos.histories.world import DAY
from tests.chaos.histories.written import BOT, CRON, Fate, Text

SEED = 20260131
FINDING = 3
"""A seed whose first twenty histories have one for each protection that is missing."""
RAISES, KILLS, WORKS = Fate("raises", ALWAYS), Fate("kills", ALWAYS), Fate()


@pytest.mark.timeout(900)
def test_no_history_breaks_a_claim() -> None:
    """Whatever happens, in whatever order: the ledger's claims hold after every step."""
    broken = search(100, SEED)
    assert broken is None, str(broken)


FINDS = {
    "handling alone": "has given up",
    "finishing alone": "has given up",
    "replaying once": "is in the stream 2 times",
    "not publishing late": "nobody replayed it",
    "remembering what is buried": "2 times",
    "counting from the question": "hold the lease",
    "sources apart": "was answered",
}
"""What follows where a protection is taken away."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("protection", ["handling alone", "replaying once", "not publishing late"])
def test_the_search_finds_what_follows_where_a_protection_is_missing(protection: str) -> None:
    """Nobody has to think of the history: it is among the first twenty of a seed.

    With the protection the same history breaks no claim.
    """
    broken = search(20, FINDING, protection, shorten=False)
    assert broken is not None
    assert act(broken.history) == [], str(broken)


HISTORIES: dict[str, Sequence[Step]] = {
    "finishing alone": [
        *(Slow(slow=True), Write([Text(1), Text(2, KILLS, KILLS)]), Poll(0), Run(400.0)),
        *(Run(400.0), Run(400.0)),
    ],
    "replaying once": [Write([Text(1, RAISES, RAISES)]), Poll(0), Run(180.0), Replay()],
    "not publishing late": [
        *(Write([Text(1)]), Poll(0, faults=[HELD]), Poll(1), Run(60.0), Sleep(73 * 3600.0))
    ],
    "remembering what is buried": [
        *(Write([Text(1, WORKS, RAISES)]), Poll(0), Run(60.0), Sleep(9 * DAY)),
        *(Write([Text(1)]), Poll(0), Run(400.0), Replay()),
    ],
    "counting from the question": [
        *(Contend(0), GiveBack(0), Contend(0, [LATE]), Contend(1), Run(400.0), Thaw())
    ],
    "sources apart": [
        *(Write([Text(1)], BOT), Poll(0), Run(20.0), Write([Text(1)], CRON), Poll(2))
    ],
}
"""The shortest that were found; a change of the machinery must not lose them."""


@pytest.mark.parametrize("protection", HISTORIES)
def test_a_history_breaks_a_claim_only_without_its_protection(protection: str) -> None:
    """What the search has found is judged as it should be, both ways."""
    assert act(HISTORIES[protection]) == []
    assert any(FINDS[protection] in claim for claim in act(HISTORIES[protection], protection))
