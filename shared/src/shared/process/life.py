"""A process from start to end: settings, logs, signals, exit code."""

import asyncio
import gc
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import structlog
from pydantic import BaseModel

from shared.logs import configure_logging, hide_secrets
from shared.metrics import name_process
from shared.process.exits import ProcessError
from shared.settings import SettingsError, exit_with, load_settings
from shared.tracing.life import load_trace_settings, tracing

log = structlog.get_logger(__name__)

S = TypeVar("S", bound=BaseModel)


def run_process(
    service: str,
    model: type[S],
    work: Callable[[S, asyncio.Event], Coroutine[Any, Any, None]],
) -> int:
    """Run a service until SIGTERM or SIGINT, or until it cannot go on; return its exit code.

    No secret of the settings, nor a password in one of their addresses, is ever logged.

    Args:
        service: its name, in its log lines.
        model: its settings; the fields `log_level` and `log_format` say how it logs.
        work: what it does, given its settings and an event that is set by the first signal. When
            it returns, everything is drained.

    Returns:
        0, or what a `ProcessError` says. A `SettingsError` exits with 78.
    """
    try:
        settings = load_settings(model)
        hide_secrets(settings)
        level, format_ = (getattr(settings, name, None) for name in ("log_level", "log_format"))
        name_process(service)
        configure_logging(service, level=level or "INFO", format=format_ or "json")
        with tracing(service, load_trace_settings()):
            gc.freeze()  # what is imported stays: no collection walks through it again and again
            asyncio.run(_until_signalled(work, settings))
    except SettingsError as error:
        exit_with(error, service)
    except ProcessError as error:
        log.error(error.event, reason=str(error))  # noqa: TRY400 — the line says it all
        return error.exit_code
    return os.EX_OK


async def _until_signalled(
    work: Callable[[S, asyncio.Event], Coroutine[Any, Any, None]], settings: S
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    await work(settings, stop)
    log.info("stopped")


async def unless_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Do some work to its end and return True, or give it up and return False when stopped."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            return False
        working.result()
        return True
    finally:
        await _give_up(working, stopping)


async def until_one_ends(*work: Coroutine[Any, Any, Any]) -> None:
    """Do all of it side by side until one ends; raise what that raised, and give up the others."""
    tasks = [asyncio.create_task(part) for part in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await _give_up(*tasks)


async def _give_up(*tasks: "asyncio.Task[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
