"""Calls to Redis that are made again until it answers."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from redis import exceptions as redis_errors

from shared.process import Outage, until_it_works

T = TypeVar("T")

UNKNOWN = (redis_errors.RedisError, OSError, TimeoutError)
"""What a Redis call can raise without telling whether the command was carried out."""


class RedisOutage(Outage):
    """Tells once that Redis is away for a purpose and once that it is back."""

    def __init__(self, purpose: str) -> None:
        super().__init__("redis unavailable", "redis available", purpose=purpose)


async def until_answered(
    call: Callable[[], Awaitable[T]],
    outage: RedisOutage,
    answers: tuple[type[redis_errors.ResponseError], ...] = (),
) -> T:
    """Make a repeatable call again and again until Redis has answered it.

    For calls that may be carried out more than once without harm: after an error nobody knows
    whether the one before it was. Errors that are among `answers` are raised.
    """

    def passes(error: Exception) -> bool:
        if isinstance(error, answers):
            outage.worked()
            return False
        return isinstance(error, UNKNOWN)

    return await until_it_works(call, outage, passes)
