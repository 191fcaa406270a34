"""`python failing_bot.py`: the bot, with a `/command` that publishes and then raises."""

from telegram import Update

from tg_bot import main
from tg_bot.context import Context

publish = main.handle_command


async def publish_and_raise(update: Update, context: Context) -> None:
    """Do the work, then fail as a handler with a bug does, quoting what the user wrote."""
    await publish(update, context)
    raise ValueError(f"nothing can be done with {context.args}")


if __name__ == "__main__":
    main.handle_command = publish_and_raise
    main.main()
