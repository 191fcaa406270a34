"""The end of a history: nothing strikes any more, and everything must arrive."""

from collections.abc import Sequence

from tests.chaos.histories.claims import broken_at_the_end
from tests.chaos.histories.record import STREAM
from tests.chaos.histories.world import World
from tests.chaos.histories.written import BOT, CRON

MOST_ROUNDS = 200
"""Rounds in which everything must have arrived."""


def quiet(world: World) -> Sequence[str]:
    """Let everything arrive; return the claims that are broken then."""
    world.set_memory(full=False)
    world.acknowledge_slowly(slow=False)
    for worker in world.workers:
        worker.process.faults.clear()
        worker.process.thaw()
    world.settle()
    world.start_the_dead()
    for _ in range(MOST_ROUNDS):
        for publishing in world.publishing:
            publishing.poll(100)
        world.run(30.0)
        if _has_arrived(world):
            return broken_at_the_end(world)
    return [*broken_at_the_end(world), "not everything has arrived"]


def _has_arrived(world: World) -> bool:
    if any(publishing.busy for publishing in world.publishing):
        return False
    if any(world.unconfirmed(source) for source in (BOT, CRON)):
        return False
    if any(bot.contends for bot in world.bots) and not any(bot.holds for bot in world.bots):
        return False
    there = world.client.exists(STREAM.name)
    groups = world.client.xinfo_groups(STREAM.name) if there else []
    return all(not group["pending"] and not group["lag"] for group in groups)
