"""`python -m tests.shared.process.a_service`: a service that ends in the way its variable says."""

import asyncio
import gc
import sys
from typing import Literal

import structlog
from pydantic import BaseModel, SecretStr

from shared.process import ListenError, ProcessError, SetupError, run_process, unless_stopped
from shared.settings import RedisUrl, SettingsError

log = structlog.get_logger(__name__)


class Settings(BaseModel):
    """What the service reads."""

    end: Literal["stop", "fail", "port", "setup", "settings", "bug"]
    token: SecretStr = SecretStr("a-secret-token")
    redis_url: RedisUrl = "redis://me:a%20password@127.0.0.1:1"


async def work(settings: Settings, stop: asyncio.Event) -> None:
    """End so, or wait for the signal and drain."""
    log.info("started", token=settings.token.get_secret_value(), redis_url=settings.redis_url)
    log.info("objects", frozen=gc.get_freeze_count(), walked=len(gc.get_objects()))
    if settings.end == "fail":
        raise ProcessError("the reason")
    if settings.end == "port":
        raise ListenError("taken")
    if settings.end == "setup":
        raise SetupError("two of one name")
    if settings.end == "settings":
        raise SettingsError("END is wrong: nobody wants it")
    if settings.end == "bug":
        raise RuntimeError("a bug")
    done = await unless_stopped(stop, asyncio.sleep(60))
    log.info("drained", done=done)


if __name__ == "__main__":
    sys.exit(run_process("a_service", Settings, work))
