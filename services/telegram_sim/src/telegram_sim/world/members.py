"""Who is in a group and as what, and what a bot hears of what is written there.

A person who writes in a group is in it; everything else is set through the control API.
"""

from telegram_sim.api.serial import Json, encode
from telegram_sim.updates.queue import LIFETIME
from telegram_sim.world.bots import Bot
from telegram_sim.world.chats import CHANNEL, GROUP, PRIVATE, SUPERGROUP, Chat, StoredMessage
from telegram_sim.world.simulator import Simulator

CREATOR, ADMINISTRATOR, MEMBER = "creator", "administrator", "member"
LEFT, KICKED = "left", "kicked"
STATUSES = (CREATOR, ADMINISTRATOR, MEMBER, LEFT, KICKED)
THERE = frozenset({CREATOR, ADMINISTRATOR, MEMBER})
RIGHTS = (
    *("can_manage_chat", "can_change_info", "can_delete_messages", "can_invite_users"),
    *("can_restrict_members", "can_pin_messages", "can_promote_members"),
    *("can_manage_video_chats", "can_manage_voice_chats"),
    *("can_post_stories", "can_edit_stories", "can_delete_stories", "is_anonymous"),
)
CHANNEL_RIGHTS = ("can_post_messages", "can_edit_messages")


def status_of(bot: Bot, chat: Chat, user: int) -> str:
    """Return what a user, or the bot, is in a group; a bot is in every chat that it knows."""
    return chat.members.get(user, MEMBER if user == bot.id else LEFT)


def member(simulator: Simulator, bot: Bot, chat: Chat, user: int) -> Json:
    """Return the ChatMember object of a user, or of the bot."""
    status = status_of(bot, chat, user) if chat.type != PRIVATE else MEMBER
    about: Json = {"user": bot.user if user == bot.id else simulator.users[user], "status": status}
    if status == CREATOR:
        about["is_anonymous"] = False
    elif status == ADMINISTRATOR:
        about["can_be_edited"] = False
        rights = RIGHTS + (CHANNEL_RIGHTS if chat.type == CHANNEL else ())
        about |= {right: right != "is_anonymous" for right in rights}
    elif status == KICKED:
        about["until_date"] = 0
    return about


def set_status(  # noqa: PLR0913 - where, whose group, who does what to whom
    simulator: Simulator, bot: Bot, chat: Chat, user: int, status: str, *, by: Json
) -> int | None:
    """Make a user, or the bot, something in a group; return the number of the update about it.

    The bot hears of itself always, of others only as an administrator: Bot API, Update.
    """
    old = member(simulator, bot, chat, user)
    chat.members[user] = status
    simulator.keep_chat(bot, chat)
    kind = "my_chat_member" if user == bot.id else "chat_member"
    if old["status"] == status or (user != bot.id and not _administers(bot, chat)):
        return None
    now = simulator.clock.date()
    change = {
        "chat": chat.about,
        "from": by,
        "date": now,
        "old_chat_member": old,
        "new_chat_member": member(simulator, bot, chat, user),
    }
    return bot.arrive(kind, encode(change), now + LIFETIME, f"{kind} {chat.id}")


def join(simulator: Simulator, bot: Bot, chat: Chat, user: int) -> None:
    """Have a person who writes in a group be in it."""
    if chat.type != PRIVATE and chat.members.get(user) not in THERE:
        chat.members[user] = MEMBER
        simulator.keep_chat(bot, chat)


def hears(bot: Bot, chat: Chat, stored: StoredMessage) -> bool:
    """Return whether a bot is told of what a person wrote.

    With privacy mode on, a bot in a group hears commands that are not another bot's, messages that
    mention it, and answers to its own: BotFather's /setprivacy, Bots FAQ. A group here has no
    other bot.
    """
    if status_of(bot, chat, bot.id) not in THERE:
        return False
    if chat.type not in {GROUP, SUPERGROUP} or not bot.profile.privacy or _administers(bot, chat):
        return True
    message = stored.object()
    if message.get("reply_to_message", {}).get("from", {}).get("id") == bot.id:
        return True
    text = str(message.get("text") or message.get("caption") or "").lower()
    name = f"@{bot.user['username']}".lower()
    command, mark, addressee = text.partition(" ")[0].partition("@")
    if command.startswith("/") and f"{mark}{addressee}" in {"", name}:
        return True
    entities = message.get("entities") or message.get("caption_entities") or ()
    return any(entity["type"] == "mention" for entity in entities) and name in text


def _administers(bot: Bot, chat: Chat) -> bool:
    return status_of(bot, chat, bot.id) == ADMINISTRATOR
