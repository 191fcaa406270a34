"""How everything stands, in one object."""

from collections.abc import Iterable

from telegram_sim.api.serial import Json
from telegram_sim.world.bots import Bot
from telegram_sim.world.simulator import Simulator


def overview(simulator: Simulator, bots: Iterable[Bot]) -> Json:
    """Return how the simulator and some of its bots stand."""
    clock = simulator.clock
    return {
        "now": clock.now(),
        "shift": clock.shift,
        "limits": simulator.limits.settings.json(),
        "faults": [fault.json() for fault in simulator.faults.all()],
        "users": len(simulator.users),
        "bots": [_bot(simulator, bot) for bot in bots],
    }


def _bot(simulator: Simulator, bot: Bot) -> Json:
    bot.updates.drop_expired()
    queue, polling, counts = bot.updates, bot.polling, bot.profile.counts
    incidents = polling.overlaps.incidents.values()
    last_poll = polling.last_poll
    return {
        "id": bot.id,
        "username": bot.user["username"],
        "pending": len(queue),
        "next_update_id": queue.next_id or None,
        "confirmed_up_to": queue.confirmed_up_to or None,
        "expired": queue.expired,
        "refused": queue.refused,
        "filtered": counts.filtered,
        "allowed_updates": list(bot.profile.allowed),
        "commands": bot.profile.commands.get("default ", []),
        "webhook": bot.profile.webhook.url if bot.profile.webhook else None,
        "polls": polling.polls,
        "polls_in_flight": polling.overlaps.in_flight,
        "last_poll_age": simulator.clock.now() - last_poll if last_poll else None,
        "delivered": polling.delivered,
        "conflicts": polling.conflicts,
        "overlap_count": len(incidents),
        "overlaps": [incident.json() for incident in incidents],
        "chats": len(bot.chats),
        "sent": counts.sent,
        "edited": counts.edited,
        "deleted": counts.deleted,
        "limited": counts.limited,
        "privacy": bot.profile.privacy,
        "not_simulated": bot.profile.not_simulated,
    }
