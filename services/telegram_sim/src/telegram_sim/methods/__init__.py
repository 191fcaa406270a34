"""The methods of the Bot API that the simulator has, by their names in small letters."""

from telegram_sim.methods import (
    account,
    chats,
    commands,
    edits,
    messages,
    photos,
    queries,
    updates,
)
from telegram_sim.methods.call import Call, Method, Result
from telegram_sim.methods.known import KNOWN

__all__ = ["KNOWN", "METHODS", "Call", "Method", "Result"]

METHODS: dict[str, Method] = {
    "getme": account.get_me,
    "logout": account.log_out,
    "close": account.close,
    "getmycommands": commands.get_my_commands,
    "setmycommands": commands.set_my_commands,
    "deletemycommands": commands.delete_my_commands,
    "getupdates": updates.get_updates,
    "setwebhook": updates.set_webhook,
    "deletewebhook": updates.delete_webhook,
    "getwebhookinfo": updates.get_webhook_info,
    "sendmessage": messages.send_message,
    "sendphoto": messages.send_photo,
    "editmessagetext": edits.edit_message_text,
    "editmessagecaption": edits.edit_message_caption,
    "editmessagemedia": edits.edit_message_media,
    "editmessagereplymarkup": edits.edit_message_reply_markup,
    "deletemessage": messages.delete_message,
    "sendchataction": chats.send_chat_action,
    "answercallbackquery": queries.answer_callback_query,
    "getfile": photos.get_file,
    "getchat": chats.get_chat,
    "getchatmember": chats.get_chat_member,
    "getchatadministrators": chats.get_chat_administrators,
    "getchatmembercount": chats.get_chat_member_count,
    "leavechat": chats.leave_chat,
}
