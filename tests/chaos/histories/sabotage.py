"""Protections taken away from the production code, so that the search is seen to find what follows.

Each is put back afterwards: the histories share a process with the other tests.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

import shared.streams.consume.hand as hands
import shared.streams.dead_letters.graveyard as graveyards
import shared.streams.lease as leases
import shared.streams.publish.calls as calling
import shared.streams.publish.publisher as publishing
from shared.streams.consume.hand import Hand
from shared.streams.dead_letters.graveyard import Graveyard
from shared.streams.server import probing
from shared.streams.server.scripts import load_script


def handling_alone(patch: pytest.MonkeyPatch) -> None:
    """Handle what has killed its consumers beside everything else."""

    @asynccontextmanager
    async def beside_others(self: Hand[Any], _: Any) -> Any:
        async with self._slots:
            yield

    patch.setattr(Hand, "_turn", beside_others)


def finishing_alone(patch: pytest.MonkeyPatch) -> None:
    """Let the next one begin before it is written that what was handled alone is finished."""
    is_suspect = hands._is_suspect

    @asynccontextmanager
    async def left_early(self: Hand[Any], entry: Any) -> Any:
        async with self._turns.alone() if is_suspect(entry) else self._slots:
            yield

    patch.setattr(Hand, "_turn", left_early)
    patch.setattr(hands, "_is_suspect", lambda _: False)


def replaying_once(patch: pytest.MonkeyPatch) -> None:
    """Replay a letter whatever became of its event meanwhile, and leave those of other groups."""
    careless = load_script("replay").replace("outcome ~= failed", "false")
    patch.setattr(graveyards, "load_script", lambda *_, **__: careless)
    patch.setattr(Graveyard, "_siblings", lambda *_: [])


def not_publishing_late(patch: pytest.MonkeyPatch) -> None:
    """Publish however long ago an event was handed over."""
    patch.setattr(publishing, "PUBLISH_WITHIN", 10 * 365 * 86400)


def sources_apart(patch: pytest.MonkeyPatch) -> None:
    """Take an event id for the same event, whoever's it is."""

    def careless(name: str, **options: Any) -> str:
        return load_script(name, **options).replace("whose == '' or whose == source", "true")

    patch.setattr(calling, "load_script", careless)


def remembering_what_is_buried(patch: pytest.MonkeyPatch) -> None:
    """Forget what a store has handled although a letter of it can still be replayed."""
    careless = load_script("oldest").replace("for i = 1, 3 do", "for i = 1, 1 do")
    careless = careless.replace("for i = 4, 5 do", "for i = 4, 4 do")
    patch.setattr(probing, "load_script", lambda *_: careless)


def counting_from_the_question(patch: pytest.MonkeyPatch) -> None:
    """Take a lease for held from when the answer is read, not from before it was asked for."""
    original = leases.Lease._answered

    def careless(self: leases.Lease, _: float, term: int) -> None:
        original(self, asyncio.get_running_loop().time(), term)

    patch.setattr(leases.Lease, "_answered", careless)


PROTECTIONS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "handling alone": handling_alone,
    "finishing alone": finishing_alone,
    "replaying once": replaying_once,
    "not publishing late": not_publishing_late,
    "sources apart": sources_apart,
    "remembering what is buried": remembering_what_is_buried,
    "counting from the question": counting_from_the_question,
}


@contextmanager
def without(protection: str) -> Iterator[None]:
    """Take a protection away for a while; nothing where it has no name."""
    with pytest.MonkeyPatch.context() as patch:
        if protection:
            PROTECTIONS[protection](patch)
        yield
