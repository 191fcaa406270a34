"""`python -m tests.chaos.unfenced_dialogs`: the bot with dialogs, whose steps have no fence.

Part of a run that is to fail: it sees that the claim fails which the fence stands for.
"""

import secrets
import sys

from shared.telegram import BotSettings, run_bot
from shared.telegram.dialogs import steps
from shared.telegram.dialogs.store import Store
from tests.shared.telegram.dialog_bot import assemble


class ForgetfulStore(Store):
    """Looks for the mark of an update under another name each time."""

    def _mark(self, mark: str) -> str:
        return super()._mark(f"{mark}:{secrets.token_hex(8)}")


if __name__ == "__main__":
    steps.Store = ForgetfulStore  # type: ignore[attr-defined]
    sys.exit(run_bot("dialog_bot", BotSettings, assemble))
