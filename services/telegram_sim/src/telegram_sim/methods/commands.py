"""The bot's list of commands, by scope and language."""

import re
from typing import Any

from telegram_sim.api.errors import BadRequestError
from telegram_sim.api.serial import Json, encode
from telegram_sim.methods.call import TRUE, Call, Result

MOST_COMMANDS = 100
LONGEST_COMMAND = 32
LONGEST_DESCRIPTION = 256
COMMAND = re.compile(r"[a-z0-9_]+")
LANGUAGE = re.compile(r"[a-z]{2}|")
WIDE_SCOPES = ("default", "all_private_chats", "all_group_chats", "all_chat_administrators")
CHAT_SCOPES = ("chat", "chat_administrators", "chat_member")


async def set_my_commands(call: Call) -> Result:
    """Replace the list of one scope and language."""
    given = call.parameters.json("commands", "commands")
    if given is None:
        given = []
    if not isinstance(given, list):
        raise BadRequestError("expected an Array of BotCommand")
    commands = [_command(command) for command in given]
    if len(commands) > MOST_COMMANDS:
        raise BadRequestError("BOT_COMMANDS_TOO_MUCH")
    call.bot.profile.commands[_key(call)] = commands
    call.bot.changed()
    return TRUE


async def get_my_commands(call: Call) -> Result:
    """Return the list of one scope and language."""
    return Result(encode(call.bot.profile.commands.get(_key(call), [])))


async def delete_my_commands(call: Call) -> Result:
    """Remove the list of one scope and language."""
    call.bot.profile.commands.pop(_key(call), None)
    call.bot.changed()
    return TRUE


def _command(given: Any) -> Json:
    if not isinstance(given, dict):
        raise BadRequestError("can't parse BotCommand: expected an Object")
    for name in ("command", "description"):
        if name not in given:
            raise BadRequestError(f"can't parse BotCommand: Can't find field \"{name}\"")
        if not isinstance(given[name], str):
            raise BadRequestError(f'can\'t parse BotCommand: Field "{name}" must be of type String')
    command = given["command"].strip().removeprefix("/")
    description = given["description"].strip()
    if not command:
        raise BadRequestError("command must be non-empty")
    if len(command) > LONGEST_COMMAND:
        raise BadRequestError(f"command length must not exceed {LONGEST_COMMAND}")
    if not description:
        raise BadRequestError("command description must be non-empty")
    if len(description) > LONGEST_DESCRIPTION:
        raise BadRequestError(f"command description length must not exceed {LONGEST_DESCRIPTION}")
    if not COMMAND.fullmatch(command):
        raise BadRequestError("BOT_COMMAND_INVALID")
    return {"command": command, "description": description}


def _key(call: Call) -> str:
    """Return what a scope and a language are kept under."""
    language = call.parameters.text("language_code")
    if not LANGUAGE.fullmatch(language):
        raise BadRequestError("invalid language code specified")
    given = call.parameters.json("scope", "BotCommandScope")
    if given is None:
        return f"default {language}"
    if not isinstance(given, dict):
        raise BadRequestError("can't parse BotCommandScope: BotCommandScope must be an Object")
    kind = given.get("type")
    if kind in WIDE_SCOPES:
        return f"{kind} {language}"
    if kind not in CHAT_SCOPES:
        raise BadRequestError("can't parse BotCommandScope: Unsupported type specified")
    chat_id = str(given.get("chat_id") or "")
    if not chat_id:
        raise BadRequestError("can't parse BotCommandScope: Empty chat_id specified")
    if kind != "chat_member":
        return f"{kind} {chat_id} {language}"
    user = given.get("user_id")
    if not isinstance(user, int) or user <= 0:
        raise BadRequestError("can't parse BotCommandScope: Invalid user_id specified")
    return f"{kind} {chat_id} {user} {language}"
