"""The methods of the Bot API that the simulator has, by their names in small letters."""

from telegram_sim.methods import account, commands, messages, updates
from telegram_sim.methods.call import Call, Method, Result

__all__ = ["METHODS", "Call", "Method", "Result"]

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
    "editmessagetext": messages.edit_message_text,
    "deletemessage": messages.delete_message,
    "sendchataction": messages.send_chat_action,
    "answercallbackquery": messages.answer_callback_query,
    "getchat": messages.get_chat,
}
