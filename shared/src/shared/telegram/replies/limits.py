"""How much a bot may send. Source: core.telegram.org/bots/faq."""

from dataclasses import dataclass

from aiolimiter import AsyncLimiter

Chat = int | str
"""A chat's id, or the name of a channel."""
MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Messages a second to everybody, to one chat after a short burst, a minute to one group.

    Where `overall` is 0 there is no limit at all: for a Bot API server of one's own, which limits
    by itself or not at all; its 429 are obeyed all the same.
    """

    overall: float = 30.0
    per_chat: float = 1.0
    burst: int = 3
    per_group: int = 20

    def of_all(self) -> AsyncLimiter | None:
        """Return what limits all messages together; None for no limit."""
        rate = self.overall
        return AsyncLimiter(max(1.0, rate), max(1.0, 1.0 / rate)) if rate else None

    def of_chat(self, chat_id: Chat) -> AsyncLimiter | None:
        """Return what limits one chat; groups and channels have negative ids, or names."""
        if not self.overall:
            return None
        if isinstance(chat_id, str) or chat_id < 0:
            return AsyncLimiter(self.per_group, MINUTE)
        return AsyncLimiter(self.burst, self.burst / self.per_chat)
