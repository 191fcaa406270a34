"""Every fault that a run can meet, and the sequence in which a seed deals them."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial

from tests.chaos.points import PUBLISHES
from tests.chaos.redis_part import OUT_OF_MEMORY, RedisPart
from tests.chaos.rig import Rig
from tests.chaos.streams_alone import StreamsAlone
from tests.chaos.whole_path import WholePath
from tests.chaos.worker import Worker

STRIKE_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong; `carry_out` returns when the part is being started again.

    Faults of different parts may go together; those of one part come one after the other.
    """

    part: str
    name: str
    carry_out: Callable[[random.Random], Awaitable[None]]


def faults_of(rig: Rig) -> list[Fault]:
    """Return the deck of a rig, in a fixed order."""
    deck = [*_of_worker(rig.sender), *_of_worker(rig.receiver)]
    deck += [*_of_redis(rig.redis), *_of_network(rig.redis)]
    if isinstance(rig, WholePath):
        deck += _of_telegram(rig)
    if isinstance(rig, StreamsAlone):
        deck.append(Fault(rig.receiver.name, "killed by an entry", rig.be_killed_by_an_entry))
        deck.append(Fault(rig.receiver.name, "buried by two groups", rig.bury_and_replay))
    return deck


def deal(deck: list[Fault], seed: int) -> Iterator[list[Fault]]:
    """Yield episodes for ever: one fault, or two of different parts that strike together.

    The whole deck is dealt before a fault comes again; the seed decides the order.
    """
    chance = random.Random(seed)  # noqa: S311 — a repeatable sequence
    while True:
        cards = deck[:]
        chance.shuffle(cards)
        while cards:
            episode = [cards.pop()]
            if cards and cards[-1].part != episode[0].part and chance.random() < 0.5:
                episode.append(cards.pop())
            yield episode


def _of_worker(worker: Worker) -> list[Fault]:
    async def at_point(point: str, chance: random.Random) -> None:
        await worker.die_at(point, chance.randint(1, 3))

    async def at_any_moment(chance: random.Random) -> None:
        await asyncio.sleep(chance.uniform(0.0, 1.5))
        await worker.kill()

    async def in_quick_succession(chance: random.Random) -> None:
        for _ in range(3):
            await asyncio.sleep(chance.uniform(0.0, 1.2))
            await worker.kill()

    async def terminate(chance: random.Random) -> None:
        await asyncio.sleep(chance.uniform(1.0, 2.0))
        await worker.terminate()

    async def double(chance: random.Random) -> None:
        await worker.double(chance.uniform(1.5, 4.0))

    async def freeze(chance: random.Random) -> None:
        await worker.freeze(worker.absence + chance.uniform(1.0, 2.0))

    part = worker.name
    faults = [Fault(part, f"SIGKILL {point}", partial(at_point, point)) for point in worker.points]
    return [
        *faults,
        Fault(part, "SIGKILL at any moment", at_any_moment),
        Fault(part, "three SIGKILLs", in_quick_succession),
        Fault(part, "SIGTERM under load", terminate),
        Fault(part, "two at once", double),
        Fault(part, "frozen beside another", freeze),
    ]


def _of_redis(redis: RedisPart) -> list[Fault]:
    async def kill(chance: random.Random) -> None:
        await redis.kill(chance.uniform(0.0, 1.0))

    async def fill(chance: random.Random) -> None:
        await redis.ask("CONFIG", "SET", "maxmemory", "1")
        await asyncio.sleep(chance.uniform(0.5, 2.0))
        await redis.ask("CONFIG", "SET", "maxmemory", "0")
        redis.struck[OUT_OF_MEMORY] += 1

    async def demote(chance: random.Random) -> None:
        await redis.ask("REPLICAOF", "127.0.0.1", "1")
        await asyncio.sleep(chance.uniform(0.5, 2.0))
        await redis.ask("REPLICAOF", "NO", "ONE")
        redis.struck["redis: read-only replica"] += 1

    async def forget_scripts(_: random.Random) -> None:
        await redis.ask("SCRIPT", "FLUSH")
        redis.struck["redis: SCRIPT FLUSH"] += 1

    return [
        Fault("redis", "SIGKILL", kill),
        Fault("redis", "torn write", redis.tear_write),
        Fault("redis", "torn write again", redis.tear_write),
        Fault("redis", "out of memory", fill),
        Fault("redis", "full", redis.flood),
        Fault("redis", "read-only", demote),
        Fault("redis", "SCRIPT FLUSH", forget_scripts),
    ]


def _of_network(redis: RedisPart) -> list[Fault]:
    async def lose(end: str, command: bytes, chance: random.Random) -> None:
        strike = redis.proxies[end].lose_replies(chance.randint(1, 3), command)
        await asyncio.wait_for(strike.done.wait(), STRIKE_TIMEOUT)

    async def tear(chance: random.Random) -> None:
        strike = redis.proxies["sender"].tear_commands(chance.randint(1, 3), PUBLISHES)
        await asyncio.wait_for(strike.done.wait(), STRIKE_TIMEOUT)

    async def reset(chance: random.Random) -> None:
        for _ in range(chance.randint(1, 4)):
            for proxy in redis.proxies.values():
                proxy.reset_connections()
            await asyncio.sleep(chance.uniform(0.0, 0.3))

    async def black_hole(end: str, chance: random.Random) -> None:
        redis.proxies[end].black_hole()
        await asyncio.sleep(chance.uniform(0.5, 6.0))
        redis.proxies[end].restore()

    return [
        Fault("redis", "lost replies to publishes", partial(lose, "sender", PUBLISHES)),
        Fault("redis", "lost replies to reads", partial(lose, "receiver", b"XREADGROUP")),
        Fault("redis", "lost replies to acknowledgements", partial(lose, "receiver", b"XACK")),
        Fault("redis", "torn publishes", tear),
        Fault("redis", "resets", reset),
        Fault("redis", "black hole for the sender", partial(black_hole, "sender")),
        Fault("redis", "black hole for the receiver", partial(black_hole, "receiver")),
    ]


def _of_telegram(rig: WholePath) -> list[Fault]:
    async def kill(chance: random.Random) -> None:
        await rig.kill_telegram(chance.uniform(0.0, 1.0))

    async def fail(kind: str, method: str, chance: random.Random) -> None:
        await rig.break_telegram(kind, method, chance.randint(1, 2))

    kinds, methods = ("lost", "broken", "reset", "error", "flood"), ("getUpdates", "sendMessage")
    return [
        Fault("telegram", "SIGKILL", kill),
        *(
            Fault("telegram", f"{kind} {method}", partial(fail, kind, method))
            for kind in kinds
            for method in methods
        ),
    ]
