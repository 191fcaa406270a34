"""How likely each step is; Hypothesis draws the histories, and shortens what fails.

A history does without about half of what is rare, so that what it has comes often enough to meet.
"""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from pydantic_core import to_json

from shared.streams.event.envelope import FIELD_BYTES
from tests.chaos.histories import steps
from tests.chaos.histories.process import HELD, LATE, LOST, REFUSED
from tests.chaos.histories.steps import Step
from tests.chaos.histories.world import DAY
from tests.chaos.histories.written import BOT, CRON, Fate, Text

ACTS = 14
"""What happens in one history, at most: steps, and courses of a few."""
ALWAYS = 1000
"""Times that a handler fails which nobody mends."""

WORKS = Fate()
FATES = (
    *[WORKS] * 4,
    *[Fate("raises", ALWAYS)] * 3,
    Fate("raises", 2),
    Fate("later", 3),
    Fate("slow", 1),
    Fate("kills", 1),
    Fate("kills late", 1),
    Fate("kills", ALWAYS),
)
FAULTS = (*[()] * 6, (HELD,), (HELD,), (LATE,), (LOST,), (REFUSED,), (LOST, HELD))
FOREIGN = (
    {b"other": b"field"},
    {FIELD_BYTES: b"no json"},
    {
        FIELD_BYTES: to_json(
            {
                "specversion": "0.3",
                "id": "42:1",
                "source": "/old",
                "type": "command_received",
                "data": {
                    "command": "/command /old 1",
                    "args": ["/old", "1"],
                    "user_id": 1,
                    "timestamp": "2026-01-31T12:00:00Z",
                },
            }
        )
    },
)

fates = st.sampled_from(FATES)


@st.composite
def texts(draw: st.DrawFn) -> Text:
    """Return what somebody writes; half of it has the same fate everywhere."""
    fate = draw(fates)
    other = draw(st.one_of(st.just(fate), fates))
    return Text(draw(st.integers(1, 2)), fate, other, draw(st.integers(0, 9)) == 9)


faults = st.sampled_from(FAULTS)
bots, workers, letters = st.integers(0, 1), st.integers(0, 5), st.integers(0, 3)
writes = st.builds(
    steps.Write,
    st.lists(texts(), min_size=1, max_size=3),
    st.sampled_from([BOT, BOT, BOT, CRON]),
)
runs = st.builds(steps.Run, st.sampled_from([20.0, 60.0, 1.0, 400.0]))
nights = st.sampled_from([2 * 3600.0, 73 * 3600.0, 9 * DAY, 9 * DAY])


@st.composite
def courses(draw: st.DrawFn) -> Sequence[Step]:
    """Return what happens every day: somebody writes, it is published, and time passes."""
    write = draw(writes)
    publisher = 2 if write.source == CRON else draw(bots)
    return [write, steps.Poll(publisher, 5, draw(faults)), draw(runs)]


def single(step: type[Step], *of: st.SearchStrategy[Any]) -> st.SearchStrategy[Sequence[Step]]:
    """Return a course of one step."""
    return st.builds(step, *of).map(lambda made: [made])


Acts = Sequence[tuple[int, st.SearchStrategy[Sequence[Step]]]]

OFTEN: Acts = (
    (1, st.just(())),
    (6, courses()),
    (3, single(steps.Poll, st.integers(0, 2), st.integers(1, 5), faults)),
    (3, runs.map(lambda run: [run])),
    (1, writes.map(lambda write: [write])),
)
"""What makes a history, and how often it comes beside the rest."""
RARE: Acts = (
    (3, single(steps.Replay, st.sampled_from([None, None, None, 0, 1, 2]))),
    (3, single(steps.Sleep, nights)),
    (2, single(steps.Contend, bots, faults)),
    (1, single(steps.GiveBack, bots)),
    (2, single(steps.Thaw)),
    (2, single(steps.Kill, workers)),
    (2, single(steps.Freeze, workers)),
    (1, single(steps.Drop, letters)),
    (1, single(steps.Mend)),
    (2, single(steps.Memory, st.booleans())),
    (1, single(steps.Slow, st.booleans())),
    (1, single(steps.Restart)),
    (1, single(steps.Foreign, st.sampled_from(FOREIGN))),
)
"""What may be missing in a history."""


@st.composite
def histories(draw: st.DrawFn) -> Sequence[Step]:
    """Return a history."""
    missing = draw(st.sets(st.sampled_from(range(len(RARE))), max_size=8))
    present = [*OFTEN, *(act for place, act in enumerate(RARE) if place not in missing)]
    acts = [strategy for often, strategy in present for _ in range(often)]
    history: list[Step] = []
    for _ in range(ACTS):
        history += draw(acts[draw(st.integers(0, len(acts) - 1))])
    return history
