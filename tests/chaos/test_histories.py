"""Random histories of publishers, groups, dead letters, faults and days break no claim.

Nobody has written these histories down; what they may consist of stands in `histories/machine.py`.
"""

from collections.abc import Callable

import pytest

from tests.chaos.histories.machine import ALWAYS
from tests.chaos.histories.process import HELD
from tests.chaos.histories.search import act, search
from tests.chaos.histories.world import BOT, CRON, GROUPS, Fate, World

SEED = 20260131


@pytest.mark.timeout(600)
def test_no_history_breaks_a_claim() -> None:
    """Whatever happens, in whatever order: the ledger's claims hold after every step."""
    assert search(100, SEED) is None


@pytest.mark.timeout(600)
def test_a_history_is_found_where_a_protection_is_missing() -> None:
    """Without handling alone what kills, the search finds innocents in the dead letters."""
    only = ("write", "poll", "run")
    history = search(2000, SEED, "handling alone", only=only, shorten=False)
    assert history is not None
    assert "has given up" in history.splitlines()[0]


def two_groups_replayed(world: World) -> None:
    """Both groups give an event up, and all letters are replayed."""
    raises = Fate("raises", ALWAYS)
    world.write(BOT, 1, dict.fromkeys(GROUPS, raises), too_large=False)
    world.publishing[0].poll(1)
    world.run(60.0)
    world.replay(None)


def woken_after_days(world: World) -> None:
    """A bot is stopped in the middle of a publish, and wakes when ids are not remembered."""
    world.write(BOT, 1, dict.fromkeys(GROUPS, Fate()), too_large=False)
    world.publishing[0].process.faults[:] = [HELD]
    world.publishing[0].poll(1)
    world.settle()
    world.publishing[1].poll(1)
    world.run(6.0)
    world.sleep(73 * 3600.0)


def one_id_of_two_sources(world: World) -> None:
    """Another service publishes under an id that the bot has used."""
    for number, source in enumerate((BOT, CRON)):
        world.write(source, 1, dict.fromkeys(GROUPS, Fate()), too_large=False)
        world.publishing[2 * number].poll(1)
        world.run(6.0)


@pytest.mark.parametrize(
    ("protection", "history", "claim"),
    [
        ("replaying once", two_groups_replayed, "is in the stream 2 times"),
        ("not publishing late", woken_after_days, "nobody replayed it"),
        ("sources apart", one_id_of_two_sources, "was answered"),
    ],
)
def test_a_history_breaks_a_claim_only_without_its_protection(
    protection: str, history: Callable[[World], None], claim: str
) -> None:
    """Each of the histories that a hand has found is judged as it should be, both ways."""
    assert act(history) == []
    assert any(claim in line for line in act(history, protection))
