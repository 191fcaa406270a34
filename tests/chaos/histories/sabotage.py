"""Protections taken away from the production code, so that the search is seen to find what follows.

Each is put back afterwards: the histories share a process with the other tests.
"""

from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

import shared.streams.dead_letters.graveyard as graveyards
import shared.streams.publish.publisher as publishing
from shared.streams.consume.hand import Hand
from shared.streams.dead_letters.graveyard import Graveyard
from shared.streams.server.scripts import load_script


def handling_alone(patch: pytest.MonkeyPatch) -> None:
    """Handle what has killed its consumers beside everything else."""

    @asynccontextmanager
    async def beside_others(self: Hand[Any], _: Any) -> Any:
        async with self._slots:
            yield

    patch.setattr(Hand, "_turn", beside_others)


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

    patch.setattr(publishing, "load_script", careless)


PROTECTIONS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "handling alone": handling_alone,
    "replaying once": replaying_once,
    "not publishing late": not_publishing_late,
    "sources apart": sources_apart,
}


@contextmanager
def without(protection: str) -> Iterator[None]:
    """Take a protection away for a while; nothing where it has no name."""
    with pytest.MonkeyPatch.context() as patch:
        if protection:
            PROTECTIONS[protection](patch)
        yield
