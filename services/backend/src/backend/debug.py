"""The deprecated way to publish a command by hand: over HTTP instead of to the stream."""

import asyncio
from http import HTTPStatus

import structlog

from backend.problems import ProblemError
from shared.generated.events import (
    EventRefusedError,
    NotConnectedError,
    command_received,
    publish_command_received,
    publisher_command_received,
)
from shared.generated.schemas import CommandPublished, CommandReceived, DebugCommand
from shared.inbox import now

log = structlog.get_logger(__name__)

publisher_command_received()  # names the event in this service's AsyncAPI document

PUBLISH_TIMEOUT = 5.0
"""Seconds that a request waits for Redis."""


class Debug:
    """Carries out the operation of spec/debug.yaml."""

    async def publish_command(self, body: DebugCommand) -> CommandPublished:
        """Publish the command under a new event id, and log that somebody still does it so."""
        log.warning("deprecated operation called", operation="POST /debug/command")
        args = body.command.split()[1:] if body.args is None else body.args
        event = CommandReceived(
            command=body.command, args=args, user_id=body.user_id, timestamp=now()
        )
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT):
                published = await publish_command_received(event)
        except EventRefusedError as error:
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, error.reason) from error
        except (TimeoutError, NotConnectedError) as error:
            detail = "Redis cannot be reached; the command may still be published later"
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, detail) from error
        return CommandPublished(
            event_id=published.event_id,
            stream=command_received.name,
            entry_id=published.entry_id,
        )
