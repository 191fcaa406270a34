"""How a bot gets its updates: by asking, or at a webhook."""

import json

from telegram_sim.bots import KINDS, UNASKED_KINDS
from telegram_sim.methods.call import TRUE, Call, Result
from telegram_sim.polling import LONGEST_POLL, MOST_UPDATES


async def get_updates(call: Call) -> Result:
    """Return updates that wait, and forget those that the offset confirms."""
    parameters, bot = call.parameters, call.bot
    if bot.profile.webhook is not None:
        await bot.polling.refuse()
    choose_kinds(call)
    updates = await bot.polling.get_updates(
        offset=parameters.clamped("offset", 0, -(2**31), 2**31 - 1),
        limit=parameters.clamped("limit", MOST_UPDATES, 1, MOST_UPDATES),
        wait=parameters.clamped("timeout", 0, 0, LONGEST_POLL),
        peer=call.peer,
    )
    bot.changed()
    return Result(b"[%s]" % b",".join(updates))


async def delete_webhook(call: Call) -> Result:
    """Make the bot poll."""
    if call.parameters.flag("drop_pending_updates"):
        call.bot.updates.keep_last(0)
    return Result(TRUE.body, "Webhook is already deleted")


async def set_webhook(call: Call) -> Result:
    """Send the bot's updates to a URL."""
    return await delete_webhook(call)


async def get_webhook_info(call: Call) -> Result:
    """Return where the bot's updates go and how many wait."""
    call.bot.updates.drop_expired()
    pending = len(call.bot.updates)
    return Result(b'{"url":"","has_custom_certificate":false,"pending_update_count":%d}' % pending)


def choose_kinds(call: Call) -> None:
    """Take over the kinds of updates that a call asks for; they hold until another asks.

    What cannot be understood is ignored, and an empty list, or one of unknown kinds only, means
    the usual kinds: Client::get_allowed_update_types.
    """
    text = call.parameters.text("allowed_updates")
    if not text:
        return
    try:
        given = json.loads(text)
    except ValueError:
        return
    if not isinstance(given, list) or not all(isinstance(kind, str) for kind in given):
        return
    wanted = {kind.lower() for kind in given} & set(KINDS)
    allowed = tuple(sorted(wanted or UNASKED_KINDS))
    if allowed != call.bot.profile.allowed:
        call.bot.profile.allowed = allowed
        call.bot.changed()
