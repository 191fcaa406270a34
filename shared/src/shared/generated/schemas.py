"""Everything that crosses a border.

Written by `make generate-from-spec` from shared/spec/models.yaml; do not edit.
"""

from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class TelegramUpdate(BaseModel):
    """An update that the bot could not handle, kept so that it can be handed over again."""

    model_config = ConfigDict(
        frozen=True,
    )
    update: Annotated[
        dict[str, Any],
        Field(
            description="The update as Telegram wrote it (https://core.telegram.org/bots/api#update), whatever there is of it."
        ),
    ]


class UserCreate(BaseModel):
    """A Telegram user who talked to the bot for the first time."""

    model_config = ConfigDict(
        frozen=True,
    )
    id: Annotated[
        int, Field(description="Telegram's identifier of the user.", ge=1, le=4503599627370495)
    ]
    first_name: Annotated[
        str, Field(description="The first name. Telegram asks everyone for one.", max_length=256)
    ]
    last_name: Annotated[
        str | None, Field(description="The last name, if the user gave one.", max_length=256)
    ] = None
    username: Annotated[
        str | None, Field(description="The name after the @, if the user chose one.", max_length=64)
    ] = None
    language_code: Annotated[
        str | None,
        Field(
            description="IETF language tag of the user's Telegram client.",
            examples=["en", "pt-br"],
            max_length=35,
        ),
    ] = None


class User(UserCreate):
    """A registered user."""

    model_config = ConfigDict(
        frozen=True,
    )
    registered_at: Annotated[
        AwareDatetime, Field(description="When the user was registered, in UTC with its offset.")
    ]


class DebugCommand(BaseModel):
    """A command to publish by hand, as if the bot had received it just now."""

    model_config = ConfigDict(
        frozen=True,
    )
    command: Annotated[
        str,
        Field(
            description="The whole text of the message.",
            examples=["/command test arg1 arg2"],
            max_length=4096,
            min_length=1,
        ),
    ]
    args: Annotated[
        list[str] | None,
        Field(
            description="The words after the command's name; without it, they are taken from the text."
        ),
    ] = None
    user_id: Annotated[
        int,
        Field(description="The user in whose name the command is sent.", ge=1, le=4503599627370495),
    ]


class CommandPublished(BaseModel):
    """Where the command stands in the stream."""

    model_config = ConfigDict(
        frozen=True,
    )
    event_id: Annotated[str, Field(description="Identifier that deduplicates the event.")]
    stream: Annotated[
        str, Field(description="Name of the Redis Stream.", examples=["command_received"])
    ]
    entry_id: Annotated[
        str,
        Field(description="Identifier of the entry in the stream.", examples=["1767225600000-0"]),
    ]


class Fault(BaseModel):
    """One fault of a request."""

    model_config = ConfigDict(
        frozen=True,
    )
    place: Annotated[
        str, Field(description="Where in the request the fault is.", examples=["body.user_id"])
    ]
    reason: Annotated[str, Field(description="What is wrong there.")]


class CommandReceived(BaseModel):
    """A user sent a command to the bot."""

    model_config = ConfigDict(
        frozen=True,
    )
    command: Annotated[
        str,
        Field(
            description="The whole text of the message, as the user wrote it.",
            examples=["/command test arg1 arg2"],
        ),
    ]
    args: Annotated[
        list[str],
        Field(
            description="The words after the command's name.", examples=[["test", "arg1", "arg2"]]
        ),
    ]
    user_id: Annotated[
        int, Field(description="The user who sent the command.", ge=1, le=4503599627370495)
    ]
    timestamp: Annotated[
        AwareDatetime,
        Field(
            description="When the message was sent, in UTC with its offset.",
            examples=["2026-01-31T12:00:00Z"],
        ),
    ]


class Problem(BaseModel):
    """Why a request failed, as RFC 9457 has it."""

    model_config = ConfigDict(
        frozen=True,
    )
    title: Annotated[
        str, Field(description="The kind of problem in a few words; the same for every occurrence.")
    ]
    status: Annotated[int, Field(description="The HTTP status of the response.")]
    detail: Annotated[str, Field(description="What went wrong this time, in one sentence.")]
    errors: Annotated[
        list[Fault],
        Field(description="Each fault of the request; empty where the detail says it all."),
    ]
