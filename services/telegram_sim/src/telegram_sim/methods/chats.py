"""The chat that a call is about, and what a bot may know of it."""

from telegram_sim.api.errors import BadRequestError, FloodError, ForbiddenError
from telegram_sim.api.serial import encode
from telegram_sim.methods.call import TRUE, Call, Result
from telegram_sim.world.chats import PRIVATE, Chat, StoredMessage
from telegram_sim.world.members import (
    ADMINISTRATOR,
    CREATOR,
    KICKED,
    LEFT,
    THERE,
    member,
    set_status,
    status_of,
)

ACTIONS = frozenset(
    {
        *("cancel", "typing", "record_video", "upload_video", "record_audio", "record_voice"),
        *("upload_audio", "upload_voice", "upload_photo", "upload_document", "choose_sticker"),
        *("pick_up_location", "find_location", "record_video_note", "upload_video_note"),
    }
)


async def get_chat(call: Call) -> Result:
    """Return what is known of a chat."""
    about = chat_of(call).about
    return Result(
        encode(
            {
                **about,
                "accepted_gift_types": {
                    "unlimited_gifts": False,
                    "limited_gifts": False,
                    "unique_gifts": False,
                    "premium_subscription": False,
                    "gifts_from_channels": False,
                },
                "max_reaction_count": 11,
                "accent_color_id": abs(about["id"]) % 7,
            }
        )
    )


async def get_chat_member(call: Call) -> Result:
    """Return what a user, or the bot itself, is in a chat."""
    user = call.parameters.integer("user_id")
    if user <= 0:
        raise BadRequestError("invalid user_id specified")
    chat = chat_of(call)
    known = user == call.bot.id or user in call.simulator.users
    if not known or (chat.type == PRIVATE and user not in {chat.id, call.bot.id}):
        raise BadRequestError("member not found")
    return Result(encode(member(call.simulator, call.bot, chat, user)))


async def get_chat_administrators(call: Call) -> Result:
    """Return who administers a group, other bots left out."""
    chat = chat_of(call)
    if chat.type == PRIVATE:
        raise BadRequestError("there are no administrators in the private chat")
    users = [user for user, status in chat.members.items() if status in {CREATOR, ADMINISTRATOR}]
    return Result(encode([member(call.simulator, call.bot, chat, user) for user in users]))


async def get_chat_member_count(call: Call) -> Result:
    """Return how many are in a chat, the bot counted."""
    chat, bot = chat_of(call), call.bot
    if chat.type == PRIVATE:
        return Result(b"2")
    statuses = {**chat.members, bot.id: status_of(bot, chat, bot.id)}.values()
    return Result(encode(sum(status in THERE for status in statuses)))


async def leave_chat(call: Call) -> Result:
    """Have the bot leave a group."""
    chat = chat_of(call)
    if chat.type == PRIVATE:
        raise BadRequestError("chat member status can't be changed in private chats")
    set_status(call.simulator, call.bot, chat, call.bot.id, LEFT, by=call.bot.user)
    return TRUE


async def send_chat_action(call: Call) -> Result:
    """Show what the bot is doing."""
    action = call.parameters.text("action").lower()
    if action not in ACTIONS:
        raise BadRequestError("wrong parameter action in request")
    chat = chat_of(call)
    call.simulator.tell(type="action", bot=call.bot.id, chat=chat.about, action=action)
    return TRUE


def chat_of(call: Call) -> Chat:
    """Return the chat that a call names.

    Raises:
        BadRequestError: It names none, or one that the bot does not know.
        ForbiddenError: The user has blocked the bot or has never written to it, or the bot is not
            in the group.
    """
    text = call.parameters.text("chat_id")
    if not text:
        raise BadRequestError("chat_id is empty")
    if text.startswith("@"):
        chat = next(
            (
                chat
                for chat in call.bot.chats.values()
                if chat.type != PRIVATE
                and str(chat.about.get("username", "")).lower() == text[1:].lower()
            ),
            None,
        )
    else:
        chat = call.bot.chats.get(call.parameters.integer("chat_id"))
    if chat is None:
        raise BadRequestError("chat not found")
    if chat.type == PRIVATE and not chat.last_message_id:
        raise ForbiddenError("bot can't initiate conversation with a user")
    if chat.blocked:
        raise ForbiddenError("bot was blocked by the user")
    status = status_of(call.bot, chat, call.bot.id)
    if status == KICKED:
        raise ForbiddenError(f"bot was kicked from the {chat.type} chat")
    if status == LEFT:
        raise ForbiddenError(f"bot is not a member of the {chat.type} chat")
    return chat


def message_of(call: Call, what: str) -> tuple[Chat, StoredMessage]:
    """Return the message that a call names, and its chat; `what` stands for it in the error.

    Raises:
        BadRequestError: There is no such message, or no such chat.
        ForbiddenError: As `chat_of`.
    """
    chat = chat_of(call)
    message = chat.messages.get(call.parameters.integer("message_id"))
    if message is None:
        raise BadRequestError(f"{what} not found")
    return chat, message


def check_limits(call: Call, chat: Chat) -> None:
    """Count one message against the limits.

    Raises:
        FloodError: It is one too many.
    """
    try:
        call.simulator.limits.check(call.bot.id, chat)
    except FloodError:
        call.bot.profile.counts.limited += 1
        call.bot.changed()
        raise
