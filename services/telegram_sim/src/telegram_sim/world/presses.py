"""Pressed buttons: each is a callback query that the bot may answer once."""

import asyncio
import secrets
from dataclasses import asdict, dataclass, replace
from typing import Any

from telegram_sim.api.serial import Json, decode, encode
from telegram_sim.clock import Clock
from telegram_sim.state import State

LIFETIME = 150
MOST_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Press:
    """One pressed button.

    Attributes:
        id: The number of the callback query.
        bot: The bot whose button it is.
        at: Simulated Unix second of the press.
        answered: Whether the bot has answered it.
        text: What the answer shows to the person.
        show_alert: Whether it shows it as an alert.
        url: What the answer opens.
    """

    id: str
    bot: int
    at: float
    answered: bool = False
    text: str = ""
    show_alert: bool = False
    url: str = ""

    def json(self) -> Json:
        """Return the press as the control API shows it."""
        return asdict(self)


class Presses:
    """The presses that are still known, oldest first."""

    def __init__(self, clock: Clock, state: State) -> None:
        self._clock = clock
        self._state = state
        self._presses: dict[str, Press] = {}
        self._answered = asyncio.Event()
        for (body,) in state.rows("SELECT body FROM presses ORDER BY rowid"):
            press = Press(**decode(body))
            self._presses[press.id] = press

    def add(self, bot: int) -> Press:
        """Note a press of one of a bot's buttons."""
        press = Press(str(secrets.randbelow(2**62) + 1), bot, self._clock.now())
        self._keep(press)
        return press

    def get(self, press_id: str) -> Press | None:
        """Return a press; None where it is not known."""
        return self._presses.get(press_id)

    def answer(self, bot: int, press_id: str, **answer: Any) -> Press | None:
        """Answer a press, and return it; None where it can no longer be answered, or never could.

        A second answer changes nothing.
        """
        press = self._presses.get(press_id)
        if press is None or press.bot != bot or press.at + LIFETIME < self._clock.now():
            return None
        if not press.answered:
            press = replace(press, answered=True, **answer)
            self._keep(press)
            answered, self._answered = self._answered, asyncio.Event()
            answered.set()
        return press

    async def some_answer(self) -> None:
        """Return when a press has been answered."""
        await self._answered.wait()

    def _keep(self, press: Press) -> None:
        self._presses[press.id] = press
        while len(self._presses) > MOST_KEPT:
            oldest = next(iter(self._presses))
            del self._presses[oldest]
            self._state.execute("DELETE FROM presses WHERE id = ?", oldest)
        self._state.execute(
            "INSERT INTO presses VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            press.id,
            encode(press.json()),
        )
