"""`make chaos servers=3`: one of three servers goes, again and again, and events are counted."""

import argparse
import asyncio
import os
import random
import sys

from tests.failover.hosts import NO_NAMESPACES, can_make_namespaces, three_hosts
from tests.failover.run import FAULTS, Run


def say(line: str) -> None:
    """Write one line at once, also into a pipe."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Have as many faults as asked for; return 0 where every claim holds, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.failover", description=__doc__)
    parser.add_argument("--faults", type=int, default=104, help="of each kind about as many")
    parser.add_argument("--seed", type=int, help="repeat an earlier order of faults")
    asked = parser.parse_args()
    if not can_make_namespaces():
        say(NO_NAMESPACES)
        return os.EX_UNAVAILABLE
    seed = random.SystemRandom().randrange(1_000_000) if asked.seed is None else asked.seed
    say(f"seed={seed}")
    rounds = [list(FAULTS) for _ in range(-(-asked.faults // len(FAULTS)))]
    for order in rounds:
        random.Random(seed).shuffle(order)  # noqa: S311 — no secret
        seed += 1
    faults = [fault for order in rounds for fault in order][: asked.faults]
    with three_hosts() as (network, copies):
        run = Run(network, copies, seed, say)
        broken = asyncio.run(run(faults))
    say(f"{len(faults)} faults, {len(run.confirmed):,} confirmed; {broken or 'no claim broken'}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
