"""Faults on demand: what a test tells the simulator to get wrong."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from telegram_sim.api.serial import Json
from telegram_sim.clock import Clock
from telegram_sim.state import State

EVERY_METHOD = "*"
SLOW, FLOOD, ERROR, RESET, BROKEN, LOST = "slow", "flood", "error", "reset", "broken", "lost"
KINDS = {
    SLOW: "the request is carried out `delay` seconds late",
    FLOOD: "429 with `retry_after`; the request is not carried out",
    ERROR: "an answer with `code`, 500 to 599; the request is not carried out",
    RESET: "the connection is reset; the request is not carried out",
    BROKEN: "the request is carried out; half of the answer comes, then the connection ends",
    LOST: "the request is carried out; the connection ends without an answer",
}


@dataclass(slots=True)
class Fault:
    """One fault, for as long as it is there.

    Attributes:
        id: Its number.
        method: The method it strikes, in small letters, or `*` for every one.
        kind: One of KINDS.
        count: How many requests it still strikes; None for no limit.
        probability: The chance that it strikes a request.
        until: Simulated Unix second at which it ends; None for never.
        retry_after: Seconds that a 429 asks for.
        code: The code of an error.
        delay: Seconds that a slow request waits.
        seed: Decides which requests a probability strikes; the same seed, the same requests.
        struck: How many requests it has struck.
    """

    id: int
    method: str
    kind: str
    count: int | None = None
    probability: float = 1.0
    until: float | None = None
    retry_after: int = 1
    code: int = 500
    delay: float = 1.0
    seed: int = 0
    struck: int = 0
    chance: Callable[[], float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # A repeatable sequence is wanted here, not a secret one.
        self.chance = random.Random(self.seed).random  # noqa: S311

    def json(self) -> Json:
        """Return the fault as the control API shows it."""
        return {name: getattr(self, name) for name in KEPT}


KEPT = tuple(name for name in Fault.__dataclass_fields__ if name != "chance")


class Faults:
    """The faults that are there, in the order in which they came."""

    def __init__(self, clock: Clock, state: State, kept: list[Json]) -> None:
        self._clock = clock
        self._state = state
        self._faults: dict[int, Fault] = {}
        for about in kept:
            fault = Fault(**about)
            self._faults[fault.id] = fault
        self._last_id = max(self._faults, default=0)

    def add(self, fault: Fault) -> Fault:
        """Add a fault, and give it its number."""
        self._last_id += 1
        fault.id = self._last_id
        self._faults[fault.id] = fault
        self._keep()
        return fault

    def remove(self, fault_id: int) -> bool:
        """Remove a fault; return whether it was there."""
        removed = self._faults.pop(fault_id, None) is not None
        self._keep()
        return removed

    def clear(self) -> int:
        """Remove every fault; return how many there were."""
        count = len(self._faults)
        self._faults.clear()
        self._keep()
        return count

    def all(self) -> list[Fault]:
        """Return the faults that are there."""
        self._drop_ended()
        return list(self._faults.values())

    def strike(self, method: str) -> list[Fault]:
        """Return the faults that strike a request: any that are slow, then at most one other."""
        if not self._faults:
            return []
        self._drop_ended()
        struck = []
        for fault in self._faults.values():
            if fault.method in {method, EVERY_METHOD} and fault.chance() < fault.probability:
                struck.append(fault)
                if fault.kind != SLOW:
                    break
        for fault in struck:
            fault.struck += 1
            if fault.count is not None:
                fault.count -= 1
        if struck:
            self._drop_ended()
            self._keep()
        return struck

    def _drop_ended(self) -> None:
        now = self._clock.now()
        ended = [
            fault.id
            for fault in self._faults.values()
            if fault.count == 0 or (fault.until is not None and fault.until <= now)
        ]
        for fault_id in ended:
            del self._faults[fault_id]

    def _keep(self) -> None:
        self._state.put_setting("faults", [fault.json() for fault in self._faults.values()])
