"""`python stopped_bot.py`: the bot, which is told to stop while it handles its first batch."""

import os
import signal

from telegram import Update

from tg_bot import main
from tg_bot.context import Context

publish = main.handle_command


async def stop_and_publish(update: Update, context: Context) -> None:
    """Let SIGTERM arrive before the command is published."""
    os.kill(os.getpid(), signal.SIGTERM)
    await publish(update, context)


if __name__ == "__main__":
    main.handle_command = stop_and_publish
    main.REPLY_GRACE = 30.0  # a slow machine must not be taken for a bot that does not wait
    main.main()
