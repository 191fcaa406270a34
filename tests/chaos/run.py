"""One run: load and faults side by side, then quiet, then the verdict."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from time import monotonic

from redis.exceptions import RedisError

from tests.chaos.faults import Fault, deal, faults_of
from tests.chaos.ledger import Verdict, judge
from tests.chaos.rig import Rig

USERS = 200
FIRST_USER = 5000
MOST_BEHIND = 1500
"""Commands on their way beyond which no more are sent: a slow machine is given time."""
SIZES = (1, 5, 20, 40, 100, 250)
WORDS = ("привет", "🚀 launch", "שלום", "naïve café", "plain words", "'quoted' \"text\" \\ %s {}")


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a run goes on: until every one of these is reached.

    Attributes:
        seed: Decides the sequence of faults and the load.
        updates: Commands to send.
        kills: SIGKILLs to send.
        seconds: Time to go on for.
        rate: Commands a second, on average.
        bad: The share of commands that can never be published.
        settle: Seconds after the last fault in which everything must have arrived.
    """

    seed: int
    updates: int = 0
    kills: int = 0
    seconds: float = 0.0
    rate: float = 100.0
    bad: float = 0.005
    settle: float = 180.0


@dataclass(frozen=True, slots=True)
class Result:
    """What a run has shown."""

    seed: int
    seconds: float
    episodes: int
    faults: Counter[str]
    verdict: Verdict

    @property
    def kills(self) -> int:
        """Return how many SIGKILLs there were."""
        return sum(count for name, count in self.faults.items() if "SIGKILL" in name)

    def table(self) -> str:
        """Return the summary that a person reads."""
        lines = [f"{name:<44} {count:>7,}" for name, count in sorted(self.faults.items())]
        verdict = self.verdict
        totals = {
            "updates sent": verdict.sent,
            "SIGKILLs": self.kills,
            "lost": verdict.lost,
            "doubled": verdict.doubled,
            "refused, each sender told": verdict.refused,
            "kept as updates, each sender told": verdict.kept,
            "claims broken": len(verdict.broken),
            "seconds": round(self.seconds),
            "seed": self.seed,
        }
        lines += ["", *(f"{name:<44} {count:>7}" for name, count in totals.items())]
        return "\n".join([*lines, *verdict.broken])


Say = Callable[[str], None]


class Run:
    """Puts a rig under load and faults.

    Args:
        rig: What is started already.
        plan: For how long.
        say: Where progress lines go.
        faults: The only faults; None for all that the rig knows.
    """

    def __init__(
        self, rig: Rig, plan: Plan, say: Say, faults: Callable[[Fault], bool] | None = None
    ) -> None:
        self._rig = rig
        self._plan = plan
        self._say = say
        self._deck = [fault for fault in faults_of(rig) if faults is None or faults(fault)]
        self._chance = random.Random(plan.seed)  # noqa: S311 — a repeatable sequence
        self._began = monotonic()
        self._episodes = 0
        self._stopped = False
        self._enough = asyncio.Event()

    def stop(self) -> None:
        """End early: no more faults after this episode, then judge what there is."""
        self._stopped = True

    async def __call__(self) -> Result:
        """Carry it out; returns when everything was judged."""
        load = asyncio.create_task(self._load(), name="load")
        try:
            for episode in deal(self._deck, self._plan.seed):
                if self._is_complete():
                    break
                await self._strike(episode)
                if load.done():
                    load.result()
            # Not cancelled: what is being handed over would be there without being noted.
            self._enough.set()
            await load
        finally:
            load.cancel()
            await asyncio.gather(load, return_exceptions=True)
        self._rig.redis.restore()
        settled = await self._settle()
        verdict = judge(self._rig.sent, await self._rig.findings())
        verdict.broken += [*self._rig.sender.broken, *self._rig.receiver.broken]
        if not settled:
            verdict.broken.append(f"not settled {self._plan.settle:.0f} s after the last fault")
        took = monotonic() - self._began
        return Result(self._plan.seed, took, self._episodes, self._faults(), verdict)

    def _is_complete(self) -> bool:
        if self._stopped:
            return True
        plan = self._plan
        kills = sum(count for name, count in self._faults().items() if "SIGKILL" in name)
        elapsed = monotonic() - self._began
        return (
            len(self._rig.sent) >= plan.updates and kills >= plan.kills and elapsed >= plan.seconds
        )

    async def _strike(self, episode: list[Fault]) -> None:
        """Let the faults of one episode strike together, and say how things stand."""
        self._episodes += 1
        chances = [random.Random(self._chance.random()) for _ in episode]  # noqa: S311 — repeatable
        names = " + ".join(f"{fault.part}: {fault.name}" for fault in episode)
        try:
            await asyncio.gather(*(f.carry_out(c) for f, c in zip(episode, chances, strict=True)))
        except TimeoutError as error:
            raise AssertionError(f"episode {self._episodes}, {names}: {error}") from error
        await asyncio.sleep(self._chance.uniform(0.1, 0.8))
        self._say(f"{monotonic() - self._began:6.0f} s  {len(self._rig.sent):>7,} sent  {names}")

    async def _load(self) -> None:
        """Hand over commands, in bursts of many sizes, until there are enough."""
        chance = random.Random(self._plan.seed + 1)  # noqa: S311 — repeatable
        number, due = 0, monotonic()
        while not self._enough.is_set():
            burst = []
            for _ in range(chance.choice(SIZES)):
                number += 1
                user = FIRST_USER + chance.randrange(USERS)
                burst.append((user, f"/command {number} {chance.choice(WORDS)}"))
            await self._rig.hand_over(burst)
            if chance.random() < self._plan.bad * len(burst):
                number += 1
                user, _ = chance.choice(burst)  # a bot can tell only who has written before
                await self._rig.hand_over_bad(user, f"/command {number} bad")
                await self._rig.hand_over_odd(user, f"/command {number} odd")
            while await self._behind() > MOST_BEHIND and not self._enough.is_set():
                await asyncio.sleep(0.2)
            due = max(due + len(burst) / self._plan.rate, monotonic() - 1.0)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._enough.wait(), max(0.0, due - monotonic()))

    async def _behind(self) -> int:
        """Return how many commands are on their way; 0 where nobody can tell, or catch up."""
        if self._rig.redis.proxies["receiver"].is_mute:  # for as long as another one is sent
            return 0
        try:
            left, (lag, pending) = await self._rig.remaining()
        except RedisError:
            return 0
        return left + (lag or 0) + pending

    async def _settle(self) -> bool:
        """Wait until nothing is on its way any more."""
        deadline = monotonic() + self._plan.settle
        while not await self._rig.settled():
            if monotonic() > deadline:
                return False
            left, (lag, pending) = await self._rig.remaining()
            self._say(
                f"{monotonic() - self._began:6.0f} s  {len(self._rig.sent):>7,} sent  settling: "
                f"{left} unconfirmed, {lag} unread, {pending} pending"
            )
            await asyncio.sleep(2)
        return True

    def _faults(self) -> Counter[str]:
        rig = self._rig
        counted = rig.sender.kills + rig.receiver.kills + rig.restarts + rig.redis.struck
        for end, proxy in rig.redis.proxies.items():
            worker = {"sender": rig.sender, "receiver": rig.receiver}[end]
            counted += Counter({f"redis: {k}, {worker.name}": n for k, n in proxy.struck.items()})
        return counted


def sequence(rig: Rig, seed: int, count: int) -> list[str]:
    """Return the first faults that a seed deals, by name."""
    episodes = islice(deal(faults_of(rig), seed), count)
    return [f"{fault.part}: {fault.name}" for episode in episodes for fault in episode]
