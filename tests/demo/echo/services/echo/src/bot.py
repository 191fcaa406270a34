"""A bot that says what it hears."""

import asyncio
import os

from telegram import Update
from telegram.ext import ApplicationBuilder, ContextTypes, MessageHandler, filters


async def echo(update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
    """Say it."""
    assert update.message is not None
    await update.message.reply_text(f"You said {update.message.text}")


if __name__ == "__main__":
    builder = ApplicationBuilder().token(os.environ["TELEGRAM_BOT_TOKEN"])
    bot = builder.base_url(f"{os.environ['TELEGRAM_API_URL']}/bot").build()
    bot.add_handler(MessageHandler(filters.TEXT, echo))
    asyncio.set_event_loop(asyncio.new_event_loop())
    bot.run_polling()
