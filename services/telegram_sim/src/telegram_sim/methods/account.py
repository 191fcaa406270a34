"""Methods about the bot itself."""

from telegram_sim.api.serial import encode
from telegram_sim.methods.call import TRUE, Call, Result

LOGGED_OUT_FOR = 600

ABILITIES = {
    "can_join_groups": True,
    "supports_inline_queries": False,
    "supports_guest_queries": False,
    "can_connect_to_business": False,
    "has_main_web_app": False,
    "has_topics_enabled": False,
    "allows_users_to_create_topics": False,
    "can_manage_bots": False,
}


async def get_me(call: Call) -> Result:
    """Return the bot's User object."""
    reads = {"can_read_all_group_messages": not call.bot.profile.privacy}
    return Result(encode({**call.bot.user, **ABILITIES, **reads}))


async def log_out(call: Call) -> Result:
    """Log the bot out: its updates and its webhook go, and for ten minutes it is refused."""
    bot, clock = call.bot, call.simulator.clock
    bot.polling.stop_waiting(None)
    await call.simulator.deliveries.set(bot, None)
    bot.updates.keep_last(0)
    bot.profile.logged_out_until = clock.now() + LOGGED_OUT_FOR
    bot.changed()
    return TRUE


async def close(call: Call) -> Result:
    """Close the bot's instance on this server; the next call opens it again."""
    call.bot.polling.stop_waiting(None)
    return TRUE
