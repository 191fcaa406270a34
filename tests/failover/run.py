"""Events are published and handled while one server after the other goes, and then counted."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from time import monotonic

from shared.streams import Delivery, Limits, StreamBroker
from tests.conditions import eventually
from tests.copies import SERVICE, Copies, Node, until
from tests.failover.hosts import Host, Network
from tests.shared.said import SAID, Said, said

WORKERS = 10
PAUSE = 0.05
HELD = 6.0
"""Seconds that a fault lasts after which another primary is chosen: down-after, and an election."""


class Run:
    """Publishes and handles for as long as the faults last, then judges.

    Args:
        network: the hosts.
        copies: what runs on them, in the same order.
        seed: decides how long a fault lasts where that is left to chance.
        say: is told of every fault.
    """

    def __init__(
        self, network: Network, copies: Copies, seed: int, say: Callable[[str], None]
    ) -> None:
        self._network = network
        self._copies = copies
        self._random = random.Random(seed)  # noqa: S311 — no secret
        self._say = say
        self.confirmed: set[str] = set()
        self.handled: Counter[str] = Counter()
        self._next = 0
        self._broker = StreamBroker()
        self._stopping = False

    async def __call__(self, faults: list[str]) -> list[str]:
        """Have each fault in turn; return what was broken, a line each."""
        self._broker.subscribe_event(SAID, group="g", limits=Limits(claim_after=3.0))(self._handle)
        await self._broker.connect(self._copies.url, source="/tests")
        await self._broker.start_consumers()
        workers = [asyncio.create_task(self._publish()) for _ in range(WORKERS)]
        for number, fault in enumerate(faults, 1):
            await self._one_more()
            began, before = monotonic(), self._copies.primary()
            await asyncio.to_thread(getattr(self, fault), before)
            await asyncio.to_thread(until, self._copies.whole, 120)
            await self._one_more()
            seconds = monotonic() - began
            moved = "moved" if self._copies.primary() is not before else "stayed"
            said_ = f"{number:>4} {fault:<16} {seconds:5.1f} s, primary {moved}"
            self._say(f"{said_}, {len(self.confirmed):,} confirmed")
        self._stopping = True
        await asyncio.gather(*workers)
        await eventually(lambda: self.confirmed <= self.handled.keys(), 120)
        await eventually(self._nothing_pending, 120)
        await self._broker.close()
        return self.judge()

    def judge(self) -> list[str]:
        """Compare what was confirmed with what stands in the stream of the primary."""
        entries = self._copies.primary().client().xrange("said")
        stands = Counter(
            str(fields[b"__data__"].split(b'"id":"')[1].split(b'"')[0].decode())
            for _, fields in entries
        )
        lost = self.confirmed - stands.keys()
        doubled = [event_id for event_id, count in stands.items() if count > 1]
        unhandled = stands.keys() - self.handled.keys()
        claims = {"lost": lost, "doubled": doubled, "acknowledged and not handled": unhandled}
        return [f"{len(ids)} {claim}: {sorted(ids)[:3]}" for claim, ids in claims.items() if ids]

    def _nothing_pending(self) -> bool:
        (group,) = self._copies.primary().client().xinfo_groups("said")
        return not group["pending"] and not group["lag"]

    async def _publish(self) -> None:
        while not self._stopping:
            self._next += 1
            event_id = f"n{self._next}"
            await self._broker.publish_event(SAID, said(self._next), event_id=event_id)
            self.confirmed.add(event_id)
            await asyncio.sleep(PAUSE)

    async def _handle(self, event: Said, delivery: Delivery) -> None:
        self.handled[delivery.event_id] += 1

    async def _one_more(self) -> None:
        """Return once something more was confirmed and handled."""
        before = len(self.confirmed)
        await eventually(lambda: len(self.confirmed) > before, 120)

    # Faults: each is given the primary and returns when it is over

    def crash(self, primary: Node) -> None:
        """SIGKILL; another one takes over, and the server comes back."""
        primary.kill()
        self._come_back(primary)

    def power_cut(self, primary: Node) -> None:
        """The link goes first, so that not even socket buffers arrive; its disk comes back."""
        self._lose_power(primary)
        self._come_back(primary)

    def empty_disk(self, primary: Node) -> None:
        """The same, and its disk is lost."""
        self._lose_power(primary)
        primary.empty()
        self._come_back(primary)

    def replicas_cut(self, primary: Node) -> None:
        """Neither replica hears of the primary for a moment, then its power goes."""
        for node in self._others(primary):
            self._network.lose(self._host(node), [primary.address])
        self._sleep(0.5, 0.9)
        self._lose_power(primary)
        self._network.heal()
        self._come_back(primary)

    def blinded(self, primary: Node) -> None:
        """Two Sentinels cannot reach a primary that is well: a false alarm."""
        votes = [self._host(node).vote_from for node in self._others(primary)]
        self._network.lose(self._host(primary), votes)
        self._sleep(HELD, HELD + 1)
        self._network.heal()

    def frozen(self, primary: Node) -> None:
        """The primary stands still for a little longer than the Sentinels are patient."""
        primary.freeze()
        self._sleep(1.1, 3.0)
        primary.thaw()

    def partition(self, primary: Node) -> None:
        """The publisher and the primary are alone on their side."""
        for node in self._others(primary):
            self._network.lose(self._host(node), [primary.address, self._network.here])
            self._network.lose(self._host(node), [self._host(primary).vote_from])
        self._sleep(HELD, HELD + 1)
        self._network.heal()

    def planned(self, primary: Node) -> None:
        """An operator hands the primary over."""
        until(lambda: primary.sentinel().execute_command("SENTINEL", "FAILOVER", SERVICE))
        until(lambda: self._copies.primary() is not primary)

    def _lose_power(self, node: Node) -> None:
        self._network.cut(self._host(node))
        node.kill(sentinel=True)

    def _come_back(self, node: Node) -> None:
        """Start a server again as a replica of whom the others name; never empty as a primary."""
        until(lambda: self._copies.primary() is not node)
        self._network.join(self._host(node))
        node.start(self._copies.primary().where)
        node.watch_again()

    def _others(self, node: Node) -> list[Node]:
        return [each for each in self._copies.nodes if each is not node]

    def _host(self, node: Node) -> Host:
        return next(host for host in self._network.hosts if host.address == node.address)

    def _sleep(self, least: float, most: float) -> None:
        end = monotonic() + self._random.uniform(least, most)
        until(lambda: monotonic() > end)


FAULTS = (
    *("crash", "power_cut", "replicas_cut", "blinded"),
    *("frozen", "partition", "planned", "empty_disk"),
)
