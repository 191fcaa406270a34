"""`python -m tests.shared.telegram.failing_bot`: its `/command` publishes and then raises."""

import sys
from typing import Any

from telegram import Update

from shared.telegram import Context
from tests.shared.telegram import a_bot

publish = a_bot.handle_command


async def publish_and_raise(update: Update, context: Context[Any]) -> None:
    """Do the work, then fail as a handler with a bug does, quoting what the user wrote."""
    await publish(update, context)
    raise ValueError(f"nothing can be done with {context.args}")


if __name__ == "__main__":
    a_bot.handle_command = publish_and_raise
    sys.exit(a_bot.main())
