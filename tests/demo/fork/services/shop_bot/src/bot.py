"""A bot that knows nothing of Herald: whatever is said to it becomes an order."""

import asyncio
import json
import os

import redis.asyncio
from telegram import BotCommand, InlineKeyboardButton, InlineKeyboardMarkup, Update
from telegram.ext import Application, ApplicationBuilder, ContextTypes, MessageHandler, filters

ANSWER = "Ordered."


async def order(update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
    """Publish an order, and offer to cancel it."""
    message = update.message
    assert message is not None
    event = {"id": str(update.update_id), "source": "/shop_bot", "data": {"what": message.text}}
    await streams.xadd("order_placed", {"__data__": json.dumps(event)})
    keys = InlineKeyboardMarkup([[InlineKeyboardButton("Cancel", callback_data="cancel")]])
    await message.reply_text(f"{ANSWER} {os.environ['PAYMENT_KEY']}", reply_markup=keys)


async def tell_commands(application: "Application") -> None:  # type: ignore[type-arg]
    """Tell Telegram the commands."""
    await application.bot.set_my_commands([BotCommand("order", "Order something")])


if __name__ == "__main__":
    streams = redis.asyncio.Redis.from_url(os.environ["REDIS_URL"])
    builder = ApplicationBuilder().token(os.environ["TELEGRAM_BOT_TOKEN"])
    builder = builder.base_url(f"{os.environ['TELEGRAM_API_URL']}/bot").post_init(tell_commands)
    bot = builder.build()
    bot.add_handler(MessageHandler(filters.TEXT, order))
    asyncio.set_event_loop(asyncio.new_event_loop())
    bot.run_polling()
