"""`python -m tests.chaos.bot_that_dies`: the bot, with points at which it can be killed."""

import sys
from typing import Any

from shared.telegram.updates.polling import Poller
from tests.chaos.dying import before, pass_point
from tests.chaos.points import wrap_publisher
from tests.chaos.sabotage import sabotage
from tg_bot.main import main

AFTER_FETCH = "after fetch"
BEFORE_CONFIRM = "before confirm"


def wrap_poller() -> None:
    """Put points after a fetch that gave updates, and before one that confirms some."""
    fetch = Poller._get_updates
    confirm = before(fetch, BEFORE_CONFIRM)

    async def fetch_with_points(self: Poller, limit: int, wait: int) -> Any:
        ask = confirm if self._hand.window.offset else fetch
        updates = await ask(self, limit, wait)
        if updates:
            pass_point(AFTER_FETCH)
        return updates

    Poller._get_updates = fetch_with_points  # type: ignore[method-assign]


if __name__ == "__main__":
    wrap_publisher()
    wrap_poller()
    sabotage()
    sys.exit(main())
