"""How fast a bot may send: Telegram's figures, with the short bursts that Telegram lets pass.

From the Bot API's FAQ: not more than one message a second in one chat, though short bursts may
pass; not more than 20 messages a minute in one group; about 30 messages a second in all.
"""

import math
from collections import deque
from dataclasses import asdict, dataclass

from telegram_sim.api.errors import FloodError
from telegram_sim.api.serial import Json
from telegram_sim.clock import Clock
from telegram_sim.world.chats import PRIVATE, Chat

MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """What the limits are.

    Attributes:
        enabled: Whether there are any.
        chat_per_second: Messages a second in one chat, over a longer time.
        chat_burst: Messages that may come at once in one chat after a pause.
        group_per_minute: Messages in one group in any minute.
        all_per_second: Messages in all chats in any second.
    """

    enabled: bool = True
    chat_per_second: float = 1.0
    chat_burst: int = 20
    group_per_minute: int = 20
    all_per_second: int = 30

    def json(self) -> Json:
        """Return the limits as the control API shows them."""
        return asdict(self)


class _Window:
    """At most so many events in any span of so many seconds."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._times: deque[float] = deque()

    def wait(self, now: float) -> float:
        """Return the seconds until the next event may come."""
        while self._times and self._times[0] <= now - self._seconds:
            self._times.popleft()
        if len(self._times) < self._most:
            return 0.0
        return self._times[0] + self._seconds - now

    def add(self, now: float) -> None:
        self._times.append(now)


class _Bucket:
    """So many events at once, then so many a second."""

    def __init__(self, most: int, per_second: float) -> None:
        self._per_second = per_second
        self._most = most
        self._level = 0.0
        self._at = 0.0

    def wait(self, now: float) -> float:
        """Return the seconds until the next event may come."""
        self._level = max(0.0, self._level - (now - self._at) * self._per_second)
        self._at = now
        return max(0.0, (self._level + 1 - self._most) / self._per_second)

    def add(self, now: float) -> None:
        del now
        self._level += 1


class Limits:
    """Watches what the bots send."""

    def __init__(self, clock: Clock, settings: LimitSettings) -> None:
        self._clock = clock
        self.choose(settings)

    def choose(self, settings: LimitSettings) -> None:
        """Set new limits; what was sent before does not count."""
        self.settings = settings
        self._all: dict[int, _Window] = {}
        self._chats: dict[tuple[int, int], list[_Window | _Bucket]] = {}

    def check(self, bot: int, chat: Chat) -> None:
        """Count one message.

        Raises:
            FloodError: It is one too many; then it does not count.
        """
        chosen = self.settings
        if not chosen.enabled:
            return
        now = self._clock.monotonic()
        in_all = self._all.get(bot)
        if in_all is None:
            in_all = self._all[bot] = _Window(chosen.all_per_second, 1.0)
        in_chat = self._chats.get((bot, chat.id))
        if in_chat is None:
            in_chat = self._chats[bot, chat.id] = [
                _Bucket(chosen.chat_burst, chosen.chat_per_second)
            ]
            if chat.type != PRIVATE:
                in_chat.append(_Window(chosen.group_per_minute, MINUTE))
        meters = [in_all, *in_chat]
        wait = max(meter.wait(now) for meter in meters)
        if wait > 0:
            raise FloodError(math.ceil(wait))
        for meter in meters:
            meter.add(now)
