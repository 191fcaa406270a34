"""Notices when two programs poll with one token, which Telegram punishes but does not prevent.

Two signs are certain. A getUpdates arrives while another one is in flight: `overlap`. Or a program
asks, after that another one with less progress asks, and then the first one asks again:
`interleaved`. Progress is the offset: one program never goes back, and a new one starts at none.
"""

from dataclasses import dataclass

from telegram_sim import logs
from telegram_sim.api.serial import Json
from telegram_sim.clock import Clock

# The caller's address, and a number that no other connection ever has.
Peer = tuple[str, int]
MOST_INCIDENTS = 1000


@dataclass(slots=True)
class Incident:
    """Two programs that polled at once.

    Attributes:
        kind: `overlap` or `interleaved`.
        pollers: The two programs, numbered in the order of their first getUpdates.
        since: Unix second of the first sign.
        until: Unix second of the last sign so far.
        polls: How many getUpdates were such signs.
    """

    kind: str
    pollers: tuple[int, int]
    since: float
    until: float
    polls: int = 1

    def json(self) -> Json:
        """Return the incident as the control API shows it."""
        return {
            "kind": self.kind,
            "pollers": list(self.pollers),
            "since": self.since,
            "until": self.until,
            "polls": self.polls,
        }


@dataclass(slots=True)
class Poller:
    """One program that polls, as far as its requests tell it from others."""

    number: int
    host: str
    offset: int
    peers: set[Peer]


class Overlaps:
    """Watches every getUpdates of one bot.

    Attributes:
        incidents: The pairs that polled at once, oldest first; a pair has one incident of a kind.
    """

    def __init__(self, bot: int, clock: Clock) -> None:
        self._bot = bot
        self._clock = clock
        self._pollers: list[Poller] = []
        self._in_flight: list[Poller] = []
        self._current: Poller | None = None
        self._last_number = 0
        self.incidents: dict[tuple[str, tuple[int, int]], Incident] = {}

    @property
    def in_flight(self) -> int:
        """How many getUpdates are being answered now."""
        return len(self._in_flight)

    def restore(self, incidents: list[Json]) -> None:
        """Take over the incidents that `json` of each had told; later pollers have new numbers."""
        for about in incidents:
            incident = Incident(**{**about, "pollers": tuple(about["pollers"])})
            self.incidents[incident.kind, incident.pollers] = incident
            self._last_number = max(self._last_number, *incident.pollers)

    def begin(self, peer: Peer, offset: int) -> Poller:
        """Note that a getUpdates has arrived; the poller returned goes to `end` later."""
        poller = self._known(peer) or self._same_by_progress(peer, offset) or self._new(peer)
        poller.peers.add(peer)
        poller.offset = max(poller.offset, offset)
        for other in self._in_flight:
            self._report("overlap", other, poller)
        if self._current is not None and poller.number < self._current.number:
            self._report("interleaved", poller, self._current)
        self._current = poller
        self._in_flight.append(poller)
        return poller

    def end(self, poller: Poller) -> None:
        """Note that a getUpdates has been answered, or that its caller has gone."""
        self._in_flight.remove(poller)

    def _known(self, peer: Peer) -> Poller | None:
        return next((poller for poller in self._pollers if peer in poller.peers), None)

    def _same_by_progress(self, peer: Peer, offset: int) -> Poller | None:
        """Return the program that this may well be, on another connection of its own."""
        current = self._current
        if current is None or current in self._in_flight or peer[0] != current.host:
            return None
        return current if offset >= current.offset else None

    def _new(self, peer: Peer) -> Poller:
        self._last_number += 1
        poller = Poller(self._last_number, host=peer[0], offset=0, peers=set())
        self._pollers = [*self._pollers[-MOST_INCIDENTS:], poller]
        return poller

    def _report(self, kind: str, poller: Poller, other: Poller) -> None:
        pair = (min(poller.number, other.number), max(poller.number, other.number))
        now = self._clock.now()
        incident = self.incidents.get((kind, pair))
        if incident is None:
            if len(self.incidents) < MOST_INCIDENTS:
                self.incidents[kind, pair] = Incident(kind, pair, since=now, until=now)
                logs.warning("two programs poll with one token", bot=self._bot, kind=kind)
            return
        incident.until = now
        incident.polls += 1
