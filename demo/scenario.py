"""What the demo says by itself: each message is followed until all that it led to is there."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

import redis.exceptions

from demo.happenings import Notice, StepFailedError, Tell
from demo.stack import Stack, check_cancelled
from demo.watch import Watch, twice
from infra.stack import Service
from telegram_sim.client import BotOverview, NoAnswerError, SimError

USER = {"id": 1001, "first_name": "Ada", "username": "ada", "language_code": "en"}
CHAT = 1001
TAKE_WITHIN = 10.0
"""Seconds in which the bot has to confirm a message to Telegram."""
ANSWER_WITHIN = 2.0
"""Seconds after that in which an answer is waited for; a bot need not give one."""
HANDLE_WITHIN = 10.0
EXAMPLES = {"command": ("/command test arg1 arg2", "/command привет 🚀")}
PLAIN = "hello"


def script(commands: list[str]) -> list[str]:
    """Return what is said to a bot with these commands: each of them, then plain text."""
    ordered = ["start", *(name for name in commands if name != "start")]
    return [text for name in ordered for text in EXAMPLES.get(name, (f"/{name}",))] + [PLAIN]


class Scenario:
    """Talks to a bot of one stack as a person.

    Args:
        stack: The stack.
        watch: Sees what comes of it.
        tell: Shows it.
        bot: The bot's service; None where the stack has none that the simulator gives a token.
    """

    def __init__(self, stack: Stack, watch: Watch, tell: Tell, bot: Service | None) -> None:
        self._stack, self._watch, self._tell = stack, watch, tell
        self._token = None if bot is None else stack.wiring.token(bot)
        self._telegram = stack.telegram_of(self._token)

    async def meet(self) -> list[str]:
        """Return the bot's commands, as soon as it is there to be told anything."""
        if not await self._until(self._asks, TAKE_WITHIN):
            self._tell(Notice("the bot has not asked Telegram for messages"))
        return await self.commands()

    async def commands(self) -> list[str]:
        """Return the commands that the bot has told Telegram, without the slash."""
        return [command["command"] for bot in await self._bots() for command in bot.raw["commands"]]

    async def say(self, text: str) -> tuple[int, int]:
        """Write to the bot; return chat and number of the message.

        Raises:
            StepFailedError: The simulator does not take it.
        """
        try:
            written = await self._telegram.write(text, user=USER)
        except SimError as error:
            simulator = self._stack.wiring.simulator.name
            log = self._stack.processes.last_lines(simulator)
            raise StepFailedError("writing to the bot", str(error), simulator, log) from None
        return written.chat_id, written.message_id

    async def follow(self, number: tuple[int, int]) -> None:
        """Return when all that a message has led to was told, or what did not happen.

        An update is confirmed to Telegram when everything that it caused is durable, so from then
        on its events are in the streams, whatever handler has published them.
        """
        chat, message_id = number
        if not await self._until(self._confirmed, TAKE_WITHIN):
            self._tell(Notice("the bot has not taken the message"))
            return
        try:
            answer = await self._telegram.wait_for_answer(
                chat, after=message_id, timeout=ANSWER_WITHIN
            )
        except NoAnswerError:
            self._tell(Notice("the bot did not answer", good=True))
        else:
            await self._until(lambda: self._heard((chat, answer.message_id)), ANSWER_WITHIN)
        await self._look()
        if not await self._until(self._handled, HANDLE_WITHIN):
            for entry, groups in self._watch.unhandled.items():
                readers = ", ".join(self._stack.wiring.readers(entry.stream))
                by = f"{len(groups)} of its readers ({readers})"
                self._tell(Notice(f"{entry.stream} {entry.id} was handled by {by}"))

    def check_once(self) -> str:
        """Return what is there once, and what is still to be handled.

        Raises:
            StepFailedError: A stream or a table holds an event twice.
        """
        database, step = self._stack.wiring.database, "every event is there once"
        for stream, source, event_id in self._watch.doubled:
            reason = f"{stream} holds event {event_id} of {source} more than once"
            raise StepFailedError(step, reason, source.strip("/"), [])
        for table in twice(str(database)) if database.exists() else ():
            raise StepFailedError(step, f"{table} holds one more than once", table, [])
        count, late = len(self._watch.events), len(self._watch.unhandled)
        if not count:
            return "no event was published."
        rest = f"{late} not yet handled" if late else "handled by all its readers"
        return f"{count} event{'' if count == 1 else 's'}: each in its stream once, {rest}."

    async def _asks(self) -> bool:
        return any(bot.polls or bot.raw["webhook"] for bot in await self._bots())

    async def _confirmed(self) -> bool:
        return all(bot.pending == 0 for bot in await self._bots())

    async def _bots(self) -> list[BotOverview]:
        """Return how the bot stands; nothing before it has called Telegram."""
        bots = (await self._telegram.overview()).bots.values()
        number = self._token and int(self._token.partition(":")[0])
        return [bot for bot in bots if number in {None, bot.id}]

    async def _heard(self, number: tuple[int, int]) -> bool:
        return number in self._watch.heard

    async def _handled(self) -> bool:
        """Whether every entry is handled by every reader that works."""
        await self._look()
        return all(
            self._stack.failed.issuperset(self._stack.wiring.readers(entry.stream))
            for entry in self._watch.unhandled
        )

    async def _look(self) -> None:
        try:
            await self._watch.look()
        except (redis.exceptions.RedisError, OSError) as error:
            check_cancelled()
            name = self._stack.wiring.redis
            log = self._stack.processes.last_lines(name)
            raise StepFailedError("reading the streams", str(error), name, log) from None

    async def _until(self, look: Callable[[], Awaitable[bool]], seconds: float) -> bool:
        deadline = monotonic() + seconds
        while not await look():
            check_cancelled()
            if monotonic() > deadline:
                return False
            await asyncio.sleep(0.05)
        return True
