"""What may happen in a history: steps that print as the Python that makes them.

A step that makes no sense where it comes does nothing, so any list of steps is a history.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tests.chaos.histories.record import Fields
from tests.chaos.histories.world import World
from tests.chaos.histories.written import BOT, Text


class Step(Protocol):
    """Something that happens."""

    def __call__(self, world: World) -> None:
        """Let it happen."""


@dataclass(frozen=True, slots=True)
class Write:
    """Users write."""

    texts: Sequence[Text]
    source: str = BOT

    def __call__(self, world: World) -> None:
        """Let each write in turn."""
        for text in self.texts:
            world.write(self.source, text)


@dataclass(frozen=True, slots=True)
class Poll:
    """A publisher publishes the next batch; its next calls meet these faults."""

    publisher: int
    most: int = 5
    faults: Sequence[str] = ()

    def __call__(self, world: World) -> None:
        """Let it publish until it waits."""
        publishing = world.publishing[self.publisher]
        if publishing.busy or not publishing.runs:
            return
        publishing.process.faults[:] = self.faults
        publishing.poll(self.most)
        world.settle()


@dataclass(frozen=True, slots=True)
class Run:
    """Time passes."""

    seconds: float

    def __call__(self, world: World) -> None:
        """Let everybody work meanwhile; then the stores forget what cannot come again."""
        world.run(self.seconds)
        world.forget()


@dataclass(frozen=True, slots=True)
class Sleep:
    """Everybody sleeps for long."""

    seconds: float

    def __call__(self, world: World) -> None:
        """Let nobody work meanwhile."""
        world.sleep(self.seconds)


@dataclass(frozen=True, slots=True)
class Contend:
    """A bot contends for the lease; its next calls meet these faults."""

    bot: int
    faults: Sequence[str] = ()

    def __call__(self, world: World) -> None:
        """Let it begin, or go on."""
        bot = world.bots[self.bot]
        bot.process.faults[:] = self.faults
        bot.contend()
        world.settle()


@dataclass(frozen=True, slots=True)
class GiveBack:
    """A bot gives its lease back."""

    bot: int

    def __call__(self, world: World) -> None:
        """Let it contend no more."""
        world.bots[self.bot].give_back()
        world.settle()


@dataclass(frozen=True, slots=True)
class Kill:
    """A process is killed."""

    worker: int

    def __call__(self, world: World) -> None:
        """Kill it; it is started again when time passes."""
        world.kill(world.workers[self.worker])


@dataclass(frozen=True, slots=True)
class Freeze:
    """A process is stopped."""

    worker: int

    def __call__(self, world: World) -> None:
        """Stop it where it stands."""
        world.freeze(world.workers[self.worker])


@dataclass(frozen=True, slots=True)
class Thaw:
    """Every process that was stopped goes on."""

    def __call__(self, world: World) -> None:
        """Wake them."""
        for worker in world.workers:
            worker.process.thaw()
        world.settle()


@dataclass(frozen=True, slots=True)
class Replay:
    """Somebody replays dead letters: one, or all that there are."""

    which: int | None = None

    def __call__(self, world: World) -> None:
        """Put them back."""
        world.replay(self.which)


@dataclass(frozen=True, slots=True)
class Drop:
    """Somebody drops a dead letter."""

    which: int

    def __call__(self, world: World) -> None:
        """Delete it."""
        world.drop(self.which)


@dataclass(frozen=True, slots=True)
class Mend:
    """The handlers are mended."""

    def __call__(self, world: World) -> None:
        """Let all that comes be handled."""
        world.mended = True


@dataclass(frozen=True, slots=True)
class Memory:
    """The server has no room, or room again."""

    full: bool

    def __call__(self, world: World) -> None:
        """Set its limit."""
        world.set_memory(full=self.full)


@dataclass(frozen=True, slots=True)
class Slow:
    """What the groups acknowledge arrives late, or at once again."""

    slow: bool

    def __call__(self, world: World) -> None:
        """Let it."""
        world.acknowledge_slowly(slow=self.slow)


@dataclass(frozen=True, slots=True)
class Restart:
    """The server is killed and started again."""

    def __call__(self, world: World) -> None:
        """Kill and start it."""
        world.restart_server()


@dataclass(frozen=True, slots=True)
class Foreign:
    """Somebody else writes into the stream."""

    fields: Fields

    def __call__(self, world: World) -> None:
        """Append it."""
        world.foreign(self.fields)
