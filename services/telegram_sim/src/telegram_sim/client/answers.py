"""What the control API answers, as its client gives it."""

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat.

    Attributes:
        message_id: Its number in the chat.
        chat_id: The chat's number.
        date: Unix second at which it was written.
        text: Its text; empty where it has none.
        from_bot: Whether the bot wrote it.
        raw: The whole Message object of the Bot API.
    """

    message_id: int
    chat_id: int
    date: int
    text: str
    from_bot: bool
    raw: Json


@dataclass(frozen=True, slots=True)
class Written:
    """A message that was written as a person.

    Attributes:
        message_id: Its number in the chat.
        chat_id: The chat's number; the user's number in a private chat.
        update_id: The number of the update about it; None where the bot gets none.
        raw: The whole Message object of the Bot API.
    """

    message_id: int
    chat_id: int
    update_id: int | None
    raw: Json


@dataclass(frozen=True, slots=True)
class WrittenMany:
    """Many messages that were written at once.

    Attributes:
        written: How many messages.
        updates: For how many of them the bot gets an update.
        first_update_id: The first update's number.
        last_update_id: The last update's number.
    """

    written: int
    updates: int
    first_update_id: int | None
    last_update_id: int | None


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two programs that polled with one token at once.

    Attributes:
        kind: `overlap`: two getUpdates in flight; `interleaved`: they asked in turns.
        pollers: The two, numbered in the order in which they first asked.
        since: Unix second of the first sign.
        until: Unix second of the last one.
        polls: How many getUpdates were such signs.
    """

    kind: str
    pollers: tuple[int, int]
    since: float
    until: float
    polls: int


@dataclass(frozen=True, slots=True)
class BotOverview:
    """How one bot stands; `raw` has more.

    Attributes:
        id: The bot's number.
        pending: Updates that wait to be confirmed.
        confirmed_up_to: The highest confirmed update; None before the first.
        polls: How many getUpdates there were.
        polls_in_flight: How many are being answered now.
        last_poll_age: Seconds since the last one came; None before the first.
        sent: How many messages the bot has sent.
        overlaps: Programs that polled at once.
        raw: Everything that the control API says of it.
    """

    id: int
    pending: int
    confirmed_up_to: int | None
    polls: int
    polls_in_flight: int
    last_poll_age: float | None
    sent: int
    overlaps: tuple[Overlap, ...]
    raw: Json


@dataclass(frozen=True, slots=True)
class Overview:
    """How the simulator stands.

    Attributes:
        now: Its time, in Unix seconds.
        shift: Seconds that it is ahead of the machine's.
        bots: Its bots by number.
        raw: Everything that the control API says.
    """

    now: float
    shift: float
    bots: dict[int, BotOverview]
    raw: Json

    @property
    def bot(self) -> BotOverview:
        """The only bot.

        Raises:
            LookupError: There is none, or there are several.
        """
        if len(self.bots) != 1:
            raise LookupError(f"there are {len(self.bots)} bots, so none is the only one")
        return next(iter(self.bots.values()))


@dataclass(frozen=True, slots=True)
class Pressed:
    """A button that was pressed as a person.

    Attributes:
        callback_query_id: The number of the callback query.
        update_id: The number of the update about it; None where the bot gets none.
    """

    callback_query_id: str
    update_id: int | None


@dataclass(frozen=True, slots=True)
class PressAnswer:
    """What the bot said to a pressed button.

    Attributes:
        text: What the person sees; empty for nothing.
        show_alert: Whether as an alert.
        url: What it opens; empty for nothing.
    """

    text: str
    show_alert: bool
    url: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that is there.

    Attributes:
        id: Its number.
        method: The method that it strikes, in small letters, or `*`.
        kind: slow, flood, error, reset, broken or lost.
        count: How many requests it still strikes; None for no limit.
        struck: How many it has struck.
        raw: Everything that the control API says of it.
    """

    id: int
    method: str
    kind: str
    count: int | None
    struck: int
    raw: Json


def message(shown: Json) -> Message:
    """Return a message from what the control API says."""
    raw = shown["message"]
    return Message(
        message_id=raw["message_id"],
        chat_id=raw["chat"]["id"],
        date=raw["date"],
        text=raw.get("text", ""),
        from_bot=shown["from_bot"],
        raw=raw,
    )


def written(result: Json) -> Written:
    """Return what was written from what the control API says."""
    raw = result["message"]
    return Written(
        message_id=raw["message_id"],
        chat_id=raw["chat"]["id"],
        update_id=result["update_id"],
        raw=raw,
    )


def bot_overview(raw: Json) -> BotOverview:
    """Return how a bot stands from what the control API says."""
    return BotOverview(
        id=raw["id"],
        pending=raw["pending"],
        confirmed_up_to=raw["confirmed_up_to"],
        polls=raw["polls"],
        polls_in_flight=raw["polls_in_flight"],
        last_poll_age=raw["last_poll_age"],
        sent=raw["sent"],
        overlaps=tuple(
            Overlap(**{**overlap, "pollers": tuple(overlap["pollers"])})
            for overlap in raw["overlaps"]
        ),
        raw=raw,
    )


def overview(raw: Json) -> Overview:
    """Return how everything stands from what the control API says."""
    bots = {bot["id"]: bot_overview(bot) for bot in raw["bots"]}
    return Overview(now=raw["now"], shift=raw["shift"], bots=bots, raw=raw)


def fault(raw: Json) -> Fault:
    """Return a fault from what the control API says."""
    return Fault(
        id=raw["id"],
        method=raw["method"],
        kind=raw["kind"],
        count=raw["count"],
        struck=raw["struck"],
        raw=raw,
    )
