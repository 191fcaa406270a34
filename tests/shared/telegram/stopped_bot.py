"""`python -m tests.shared.telegram.stopped_bot`: told to stop while it handles its first batch."""

import os
import signal
import sys
from typing import Any

from telegram import Update

from shared.telegram import Context, application
from tests.shared.telegram import a_bot

publish = a_bot.handle_command


async def stop_and_publish(update: Update, context: Context[Any]) -> None:
    """Let SIGTERM arrive before the command is published."""
    os.kill(os.getpid(), signal.SIGTERM)
    await publish(update, context)


if __name__ == "__main__":
    a_bot.handle_command = stop_and_publish
    application.REPLY_GRACE = 30.0  # a slow machine must not be taken for a bot that does not wait
    sys.exit(a_bot.main())
