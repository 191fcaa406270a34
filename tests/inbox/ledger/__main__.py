"""`python -m tests.inbox.ledger`: the ledger as a process."""

import asyncio
import sys

from pydantic import BaseModel

from shared.generated.events import broker
from shared.inbox import TOGETHER, health_of, run_worker
from shared.process import run_process, serve_health
from shared.settings import DatabaseUrl, LogFormat, Port, RedisUrl
from tests.inbox.ledger import new_ledger
from tests.shared.said import SAID

ledger = new_ledger()
broker.subscribe_event(SAID, group="ledger", limits=TOGETHER)(ledger.enter)


class Settings(BaseModel):
    """What it reads from its environment."""

    database_url: DatabaseUrl
    redis_url: RedisUrl
    health_port: Port = 0
    log_format: LogFormat = "json"


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Keep what is said until told to stop."""
    database_url, redis_url = settings.database_url, settings.redis_url
    async with serve_health(settings.health_port, health_of(ledger.database)):
        await run_worker(ledger.database, stop, database_url=database_url, redis_url=redis_url)


if __name__ == "__main__":
    sys.exit(run_process("ledger", Settings, run))
