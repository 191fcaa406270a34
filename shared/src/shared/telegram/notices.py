"""What the runtime itself says to a sender; a bot may say it in its own words and languages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.telegram.updates.senders import language_of


@dataclass(frozen=True, slots=True)
class Notices:
    """The texts of one language."""

    refused: str = "I cannot take that. It is not passed on."
    """An event of the update was refused for good; it is in the dead letters."""
    kept: str = (
        "Something went wrong on my side. Your message is kept, and somebody will look at it."
    )
    """A handler raised, or took too long; the update is in the dead letters."""
    delayed: str = "That is delayed. It is kept and will be passed on as soon as possible."
    """Redis has not taken an event for some seconds; it is waited for."""
    too_much: str = (
        "That is more than I can take from one person. For a while I take nothing more from you; "
        "whatever I have not answered is not passed on."
    )
    """The sender is over the quota."""


Languages = Mapping[str, Notices]
"""Texts by language code, such as `de` or `pt-br`; those under an empty code are for all others."""


def notices_for(languages: Languages, update: Any) -> Notices:
    """Return the texts in the language of whoever caused an update, as Telegram knows it."""
    code = (language_of(update) or "").lower()
    for known in (code, code.partition("-")[0], ""):
        if known in languages:
            return languages[known]
    return Notices()
