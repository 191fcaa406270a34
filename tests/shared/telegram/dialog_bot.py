"""`python -m tests.shared.telegram.dialog_bot`: a bot whose `/order` asks five questions."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from telegram import Update
from telegram.ext import ConversationHandler, MessageHandler
from telegram.ext.filters import UpdateType

from shared.generated.events import publish_command_received
from shared.generated.schemas import CommandReceived
from shared.telegram import Bot, BotSettings, Context, ShownCommand, run_bot
from tests import processes

MODULE = "tests.shared.telegram.dialog_bot"
QUESTIONS = ("What?", "How large?", "Which colour?", "How many?", "Where to?")
ORDERED, NO_ANSWER = "Ordered!", "Write something else."
BAD, FAILING, SLOW = "?", "fail", 0.02


async def begin(update: Update, context: Context[Any]) -> int:
    """Ask the first question."""
    return await ask(update, context, [])


async def answer(update: Update, context: Context[Any]) -> int:
    """Take an answer; ask the next question, or order."""
    message = update.message
    assert message is not None
    assert context.user_data is not None
    assert message.text is not None
    await asyncio.sleep(SLOW)
    if message.text == FAILING:
        raise RuntimeError("on purpose")
    answers = context.user_data["answers"]
    if message.text == BAD:
        context.outbox.send(message.chat_id, NO_ANSWER)
        return len(answers)
    return await ask(update, context, [*answers, message.text])


async def ask(update: Update, context: Context[Any], answers: list[str]) -> int:
    """Publish what was answered so far, and ask what is missing."""
    message, user = update.message, update.effective_user
    assert message is not None
    assert user is not None
    assert context.user_data is not None
    done = len(answers) == len(QUESTIONS)
    command = "/ordered" if done else f"/step {len(answers)}"
    event = CommandReceived(command=command, args=answers, user_id=user.id, timestamp=message.date)
    await publish_command_received(event, event_id=context.event_id)
    context.outbox.send(message.chat_id, ORDERED if done else QUESTIONS[len(answers)])
    if done:
        context.user_data.clear()
        return ConversationHandler.END
    context.user_data["answers"] = answers
    return len(answers)


@asynccontextmanager
async def assemble(bot: Bot[Any], settings: BotSettings) -> AsyncIterator[None]:
    """Give the bot its dialog."""
    del settings
    begins: Any = ShownCommand("order", begin)
    texts: Any = MessageHandler(UpdateType.MESSAGE, answer)
    bot.add_handler(
        ConversationHandler(
            [begins],
            {step: [texts] for step in range(len(QUESTIONS))},
            [],
            name="order",
            persistent=True,
        )
    )
    yield


def bot(redis_url: str, telegram_url: str) -> processes.Service:
    """Return the bot as a process, between a Redis and a simulator."""
    service = processes.bot(redis_url, telegram_url)
    service.name = MODULE
    service.variables["REPLIES_PER_SECOND"] = "0"
    return service


if __name__ == "__main__":
    sys.exit(run_bot("dialog_bot", BotSettings, assemble))
