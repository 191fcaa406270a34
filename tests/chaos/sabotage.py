"""Protections taken away, one at a time, so that each claim of the suite is seen to fail.

A process of a run that finds the name of a protection in CHAOS_WITHOUT works without it. Nothing
here is ever part of a run that is to succeed.
"""

import os
import random
import secrets
import sys
from collections.abc import Callable
from typing import Any

import shared.streams.publish.calls as calling
from shared.streams import Delivery
from shared.streams.consume.group import Entry, Group
from shared.streams.consume.hand import Hand
from shared.streams.publish.publisher import Publisher

WITHOUT = "CHAOS_WITHOUT"


def _replace(owner: Any, name: str, by: Any) -> None:
    setattr(owner, name, by)


def confirming_late() -> None:
    """Confirm what was fetched, as run_polling does, not what was handled."""
    from shared.telegram.updates.window import Window  # noqa: PLC0415 — only the bot has this package at hand

    take = Window.take

    def finish_at_once(self: Window, updates: Any, offset: int) -> list[dict[str, Any]]:
        taken = list(take(self, updates, offset))
        for update in taken:
            self.finish(update["update_id"])
        return taken

    _replace(Window, "take", finish_at_once)


def remembering_ids() -> None:
    """Give every publish a marker of its own, as a plain XADD would."""
    _replace(calling, "marker", lambda stream, _: f"{{{stream}}}:id:{secrets.token_hex(8)}")


def keeping_order() -> None:
    """Send each batch in a random order."""
    next_batch = Publisher._next_batch

    def shuffled(self: Publisher) -> list[Any]:
        batch = next_batch(self)
        random.shuffle(batch)
        return batch

    _replace(Publisher, "_next_batch", shuffled)


def acknowledging_late() -> None:
    """Acknowledge what was read, not what was handled."""
    handle = Hand._handle

    async def acknowledge_first(
        self: Hand[Any], entry: Entry, event: Any, delivery: Delivery
    ) -> bool:
        await self._group.acknowledge([delivery.entry_id])
        return await handle(self, entry, event, delivery)

    _replace(Hand, "_handle", acknowledge_first)


def claiming() -> None:
    """Leave what a dead consumer had in hand where it is."""

    async def claim_nothing(*_: Any) -> list[Any]:
        return []

    _replace(Group, "claim", claim_nothing)


def the_inbox() -> None:
    """Store each delivery, whether or not its event was stored before."""
    # The consumer runs as a script, so its class is that of the main module; others have none.
    store = getattr(sys.modules["__main__"], "Store", None)
    if store is not None:
        _replace(store, "is_new", lambda _self, _event_id: True)


def telling_the_sender() -> None:
    """Say nothing to the sender of a command that was refused."""
    from shared.telegram.replies.outbox import Outbox  # noqa: PLC0415 — the same as above

    async def say_nothing(self: Outbox, chat_id: int, text: str) -> bool:
        del self, chat_id, text
        return False

    _replace(Outbox, "tell", say_nothing)


def the_guard_of_the_file() -> None:
    """Nothing here: the rig starts Redis without what cuts off a torn write."""


PROTECTIONS: dict[str, Callable[[], None]] = {
    "confirming late": confirming_late,
    "remembering ids": remembering_ids,
    "keeping order": keeping_order,
    "acknowledging late": acknowledging_late,
    "claiming": claiming,
    "the inbox": the_inbox,
    "telling the sender": telling_the_sender,
    "the guard of the file": the_guard_of_the_file,
}


def sabotage() -> None:
    """Take away the protection that this process is told to work without, if any."""
    name = os.environ.get(WITHOUT)
    if name:
        PROTECTIONS[name]()
