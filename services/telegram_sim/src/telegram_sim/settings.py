"""What the simulator is told at its start: variables first, flags over them."""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

Value = TypeVar("Value")

TOKEN_SHAPE = re.compile(r"[1-9][0-9]{0,15}:[A-Za-z0-9_-]{30,}")
TOKEN_LONGEST = 80
PORT_HIGHEST = 65_535
ORIGIN_SHAPE = re.compile(r"https?://([\w.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.ASCII)
SWITCH = {"on": True, "off": False}
LOG_FORMATS = ("auto", "console", "json")
DEFAULT_HISTORY = 10_000

DESCRIPTION = (
    "An offline Telegram: the Bot API over HTTP, a control API under /sim, a chat page at /."
)
EPILOG = """\
Every flag has a variable of the same meaning; the flag wins. There are variables only for:
  SIM_HISTORY     messages kept for each chat before the oldest go (default 10000)
  SIM_NAMES       names it is served under besides localhost and IP addresses, with commas between
  SIM_ORIGINS     origins whose web pages may use the Bot API, with commas between; * for all
  SIM_FRAMES      origins whose pages may show the chat page in a frame, with commas between
  SIM_LOG_FORMAT  auto, console or json (default auto: console at a terminal, else json)

Exit codes: 0 stopped by a signal, 64 unknown flag, 69 the address cannot be had, 74 the state
file cannot be written, 78 a value that makes no sense.
"""


class SettingsError(Exception):
    """A variable or flag has a value that makes no sense; its text is the whole message."""


class UsageError(Exception):
    """The command line was not understood; its text is the whole message."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How one simulator is to run.

    Attributes:
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        state: File that the state is kept in; None keeps it in memory only.
        tokens: Bot tokens that are accepted; empty accepts every token of the right shape.
        limits: Whether sending is limited as Telegram limits it.
        history: Messages kept for each chat.
        log_format: One of LOG_FORMATS.
        names: Names that it is served under, besides localhost and IP addresses.
        origins: Origins whose pages may use the Bot API; `*` for every one.
        frames: Origins whose pages may show the chat page in a frame.
    """

    host: str = "127.0.0.1"
    port: int = 8081
    state: Path | None = None
    tokens: tuple[str, ...] = ()
    limits: bool = True
    history: int = DEFAULT_HISTORY
    log_format: str = "auto"
    names: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    frames: tuple[str, ...] = ()


def read_settings(environ: Mapping[str, str], arguments: Sequence[str]) -> Settings:
    """Return the settings that the environment and the command line ask for.

    Raises:
        SettingsError: A value makes no sense.
        UsageError: The command line has something unknown in it.
    """
    flags = _parser().parse_args(arguments)

    def value(flag: str, variable: str, default: str) -> tuple[str, str]:
        given = getattr(flags, flag, None)
        if given is not None:
            return f"--{flag}", str(given)
        return variable, environ.get(variable, "").strip() or default

    state = value("state", "SIM_STATE", "")[1]
    tokens = flags.token or _listed(environ.get("SIM_TOKENS", ""))
    return Settings(
        host=value("host", "SIM_HOST", "127.0.0.1")[1],
        port=_number(*value("port", "SIM_PORT", "8081"), lowest=0, highest=PORT_HIGHEST),
        state=Path(state) if state else None,
        tokens=tuple(_token(token) for token in tokens),
        limits=not flags.no_limits and _choice("SIM_LIMITS", environ, SWITCH, "on"),
        history=_number(
            *value("", "SIM_HISTORY", str(DEFAULT_HISTORY)), lowest=1, highest=10_000_000
        ),
        log_format=_choice(
            "SIM_LOG_FORMAT", environ, {name: name for name in LOG_FORMATS}, LOG_FORMATS[0]
        ),
        names=tuple(_listed(environ.get("SIM_NAMES", ""))),
        origins=tuple(_listed(environ.get("SIM_ORIGINS", ""))),
        frames=tuple(map(_origin, _listed(environ.get("SIM_FRAMES", "")))),
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see --help)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m telegram_sim",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--host", help="address to listen on (SIM_HOST, default 127.0.0.1)")
    parser.add_argument(
        "--port", help="port to listen on; 0 takes a free one and prints it (SIM_PORT, 8081)"
    )
    parser.add_argument(
        "--state", help="file that keeps the state over a restart (SIM_STATE, default: memory only)"
    )
    parser.add_argument(
        "--token",
        action="append",
        help="a bot token to accept; may be repeated (SIM_TOKENS, separated by commas; default: "
        "any token of the right shape)",
    )
    parser.add_argument(
        "--no-limits",
        action="store_true",
        help="do not limit sending as Telegram does (SIM_LIMITS=off)",
    )
    return parser


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _number(name: str, text: str, *, lowest: int, highest: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = lowest - 1
    if not lowest <= number <= highest:
        raise SettingsError(f"{name} must be a number from {lowest} to {highest}, not {text!r}")
    return number


def _choice(
    name: str, environ: Mapping[str, str], choices: Mapping[str, Value], default: str
) -> Value:
    text = environ.get(name, "").strip().lower() or default
    if text not in choices:
        raise SettingsError(f"{name} must be one of {', '.join(choices)}, not {text!r}")
    return choices[text]


def _token(text: str) -> str:
    if not is_token(text):
        raise SettingsError(
            "SIM_TOKENS (--token) has a token of the wrong shape: a bot token is "
            "digits:characters, at least 30 of A-Z a-z 0-9 _ - after the colon"
        )
    return text


def _origin(text: str) -> str:
    if ORIGIN_SHAPE.fullmatch(text) is None:
        raise SettingsError(
            f"SIM_FRAMES has {text!r}; an origin is http://HOST:PORT, without a path"
        )
    return text


def is_token(text: str) -> bool:
    """Return whether a text has the shape of a bot token."""
    return len(text) <= TOKEN_LONGEST and TOKEN_SHAPE.fullmatch(text) is not None
