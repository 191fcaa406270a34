"""The histories: what may happen, in any order; Hypothesis chooses, and shortens what fails."""

from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pydantic_core import to_json

from shared.streams.event.envelope import FIELD_BYTES
from tests.chaos.histories.claims import broken, broken_at_the_end
from tests.chaos.histories.clock import ServerWithClock
from tests.chaos.histories.process import HELD, LOST, REFUSED
from tests.chaos.histories.world import BOT, CRON, DAY, GROUPS, Fate, World

ALWAYS = 1000
WORKS = Fate()
fates = st.sampled_from(
    [
        WORKS,
        WORKS,
        WORKS,
        Fate("raises", ALWAYS),
        Fate("kills", ALWAYS),
        Fate("raises", 2),
        Fate("later", 3),
        Fate("kills", 1),
        Fate("kills late", 1),
        Fate("slow", 1),
    ]
)
others = st.one_of(st.none(), fates)
"""The same again, or another."""
foreign = st.sampled_from(
    [
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
    ]
)
MOST_QUIET = 200
"""Rounds in which everything must have arrived when nothing strikes any more."""


class Histories(RuleBasedStateMachine):
    """One history after the other, each in a world of its own on the same server."""

    server: ClassVar[ServerWithClock]
    broken: ClassVar[list[str]] = []
    """The claims that the last history that failed has broken."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.server)
        self.restarts = 0

    @rule(
        source=st.sampled_from([BOT, BOT, BOT, CRON]),
        users=st.lists(st.integers(1, 2), min_size=1, max_size=4),
        draw=st.data(),
    )
    def write(self, source: str, users: list[int], draw: Any) -> None:
        """Users write."""
        for user in users:
            first, second = draw.draw(fates, label="table"), draw.draw(others, label="mail")
            chosen = dict(zip(GROUPS, (first, second or first), strict=True))
            large = draw.draw(st.sampled_from([False] * 7 + [True]), label="too large")
            self.world.write(source, user, chosen, too_large=large)

    @rule(
        bot=st.integers(0, 2),
        most=st.integers(1, 5),
        faults=st.sampled_from([[], [], [HELD], [LOST], [REFUSED], [LOST, HELD]]),
    )
    def poll(self, bot: int, most: int, faults: list[str]) -> None:
        """A publisher publishes the next batch."""
        publishing = self.world.publishing[bot]
        if publishing.busy or publishing.process.dead:
            return
        publishing.process.faults[:] = faults
        publishing.poll(most)
        self.world.settle()

    @rule(seconds=st.sampled_from([1.0, 6.0, 20.0, 60.0]))
    def run(self, seconds: float) -> None:
        """Time passes."""
        self.world.run(seconds)

    @rule(seconds=st.sampled_from([2 * 3600.0, 73 * 3600.0, 9 * DAY]))
    def sleep(self, seconds: float) -> None:
        """Everybody sleeps for long."""
        self.world.sleep(seconds)

    @rule(who=st.integers(0, 5))
    def kill(self, who: int) -> None:
        """A process is killed."""
        self.world.kill(self.world.workers[who])

    @rule(who=st.integers(0, 5))
    def freeze(self, who: int) -> None:
        """A process is stopped."""
        self.world.freeze(self.world.workers[who])

    @rule(who=st.integers(0, 5))
    def thaw(self, who: int) -> None:
        """A process goes on."""
        self.world.workers[who].process.thaw()
        self.world.settle()

    @rule(which=st.one_of(st.none(), st.integers(0, 3)))
    def replay(self, which: int | None) -> None:
        """Somebody replays dead letters."""
        self.world.replay(which)

    @rule(which=st.integers(0, 3))
    def drop(self, which: int) -> None:
        """Somebody drops a dead letter."""
        self.world.drop(which)

    @rule()
    def mend(self) -> None:
        """The handlers are mended."""
        self.world.mended = True

    @rule()
    def forget(self) -> None:
        """The stores forget what cannot come again."""
        self.world.forget()

    @rule(full=st.booleans())
    def fill(self, full: bool) -> None:  # noqa: FBT001 — drawn
        """The server has no room, or room again."""
        (self.world.fill if full else self.world.make_room)()

    @precondition(lambda self: self.restarts < 1)
    @rule()
    def restart(self) -> None:
        """The server is killed."""
        self.restarts += 1
        self.world.restart_server()

    @rule(fields=foreign)
    def foreign(self, fields: dict[bytes, bytes]) -> None:
        """Somebody else writes into the stream."""
        if not self.world.full:
            self.world.foreign(fields)

    @invariant()
    def claims(self) -> None:
        """Nothing is broken so far."""
        self._judge(broken(self.world))

    def teardown(self) -> None:
        """Nothing strikes any more; everything must arrive."""
        try:
            self._judge(self.quiet())
        finally:
            self.world.close()

    def quiet(self) -> list[str]:
        """Let everything arrive; return the claims that are broken then."""
        self._quiet()
        return broken_at_the_end(self.world)

    def _judge(self, claims: list[str]) -> None:
        if claims:
            Histories.broken = claims
            raise AssertionError("\n".join(claims))

    def _quiet(self) -> None:
        world = self.world
        world.make_room()
        for worker in world.workers:
            worker.process.thaw()
        world.settle()
        world.restart()
        for _ in range(MOST_QUIET):
            for publishing in world.publishing:
                publishing.poll(100)
            world.run(10.0)
            if self._has_arrived():
                return

    def _has_arrived(self) -> bool:
        world = self.world
        if any(publishing.busy for publishing in world.publishing):
            return False
        if any(world.unconfirmed(source) for source in (BOT, CRON)):
            return False
        groups = (
            world.client.xinfo_groups("command_received")
            if world.client.exists("command_received")
            else []
        )
        return all(not group["pending"] and not group["lag"] for group in groups)
