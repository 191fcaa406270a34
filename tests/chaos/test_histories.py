"""Random histories of publishers, groups, dead letters, faults and days break no claim.

Nobody has written these histories down; what they may consist of stands in `histories/machine.py`.
"""

import pytest

from tests.chaos.histories.search import search

SEED = 20260131


@pytest.mark.timeout(600)
def test_no_history_breaks_a_claim() -> None:
    """Whatever happens, in whatever order: the ledger's claims hold after every step."""
    assert search(200, SEED) is None


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("protection", "claim"),
    [
        ("handling alone", "has given up"),
        ("replaying once", "times"),
        ("not publishing late", "appended again, and nobody replayed it"),
        ("sources apart", "was answered"),
    ],
)
def test_a_history_is_found_where_a_protection_is_missing(protection: str, claim: str) -> None:
    """The search finds what each protection is there for, once it is taken away."""
    history = search(1500, SEED, protection, shorten=False)
    assert history is not None
    assert claim in history.splitlines()[0]
