"""Which bots have a webhook, and the sending of their updates."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from telegram_sim.api.parameters import Parameters
from telegram_sim.clock import Clock
from telegram_sim.updates.webhook import Webhook, WebhookSettings
from telegram_sim.world.bots import Bot

# Called with the bot, the method that a webhook's answer asks for, and its parameters.
BotReplies = Callable[[Bot, str, Parameters], Awaitable[None]]


class Deliveries:
    """The sending of updates to the webhooks of all bots."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._webhooks: dict[int, Webhook] = {}
        self._stopping: set[asyncio.Task[None]] = set()
        self._replies: BotReplies | None = None

    def start(self, bots: Iterable[Bot], replies: BotReplies) -> None:
        """Send the updates of the bots that have a webhook.

        Args:
            bots: Every bot.
            replies: Called with the bot, the method that an answer asks for, and its parameters.
        """
        self._replies = replies
        for bot in bots:
            if bot.profile.webhook is not None:
                self._begin(bot, bot.profile.webhook)

    def get(self, bot: Bot) -> Webhook | None:
        """Return a bot's webhook; None where it polls."""
        return self._webhooks.get(bot.id)

    async def set(self, bot: Bot, settings: WebhookSettings | None) -> None:
        """Send a bot's updates to a URL, or, with None, keep them for it."""
        known = self._webhooks.pop(bot.id, None)
        bot.profile.webhook = settings
        bot.notify = bot.polling.arrived
        bot.changed()
        if known is not None:
            await known.stop()
        if settings is not None:
            self._begin(bot, settings)

    async def stop(self) -> None:
        """Send nothing any more."""
        for webhook in self._webhooks.values():
            await webhook.stop()
        await asyncio.gather(*self._stopping)

    def _begin(self, bot: Bot, settings: WebhookSettings) -> None:
        async def reply(method: str, parameters: Parameters) -> None:
            if self._replies is not None:
                await self._replies(bot, method, parameters)

        def gone() -> None:
            # Not awaited here: it is a sending of this very webhook that finds out.
            stopping = asyncio.create_task(self.set(bot, None))
            self._stopping.add(stopping)
            stopping.add_done_callback(self._stopping.discard)

        webhook = Webhook(bot, settings, clock=self._clock, replies=reply, on_gone=gone)
        self._webhooks[bot.id] = webhook
        bot.notify = webhook.arrived
