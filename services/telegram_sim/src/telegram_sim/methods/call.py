"""One call of a Bot API method, and what it gives back."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from telegram_sim.api.parameters import Parameters
from telegram_sim.api.serial import encode
from telegram_sim.updates.overlaps import Peer
from telegram_sim.world.bots import Bot
from telegram_sim.world.simulator import Simulator


@dataclass(frozen=True, slots=True)
class Call:
    """What a method is called with."""

    simulator: Simulator
    bot: Bot
    parameters: Parameters
    peer: Peer


@dataclass(frozen=True, slots=True)
class Result:
    """What a method gives back.

    Attributes:
        body: The result as JSON.
        description: A sentence beside it; empty for none.
    """

    body: bytes
    description: str = ""

    def serialized(self) -> bytes:
        """Return the whole answer as JSON."""
        if self.description:
            return b'{"ok":true,"result":%s,"description":%s}' % (
                self.body,
                encode(self.description),
            )
        return b'{"ok":true,"result":%s}' % self.body


Method = Callable[[Call], Awaitable[Result]]

TRUE = Result(b"true")
