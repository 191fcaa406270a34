"""A client of the control API, for demos, tests and load.

    async with SimClient("http://127.0.0.1:8081") as sim:
        written = await sim.write("/start", user={"id": 7, "first_name": "Ada"})
        answer = await sim.wait_for_answer(written.chat_id, after=written.message_id)
        print(answer.text)

Errors:

    SimError
    ├── SimRefusedError     the simulator understood the request and will not do it
    ├── SimAwayError        nobody answers at that address
    └── NoAnswerError       the bot did not answer in time; a TimeoutError too
"""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp

from telegram_sim.client import answers
from telegram_sim.client.answers import (
    BotOverview,
    Fault,
    Json,
    Message,
    Overview,
    PressAnswer,
    Pressed,
    Written,
    WrittenMany,
)

User = int | Mapping[str, Any]

DEFAULT_USER = 1001
TIMEOUT = 30.0
LONG_TIMEOUT = 120.0


class SimError(Exception):
    """Something that the simulator was asked for did not happen."""


class SimRefusedError(SimError):
    """The simulator understood the request and will not do it; its text says why."""


class SimAwayError(SimError):
    """Nobody answers at the simulator's address."""


class NoAnswerError(SimError, TimeoutError):
    """The bot has not written into a chat in time."""


class SimClient:
    """Talks to one simulator's control API.

    Args:
        base_url: Where the simulator listens, `http://127.0.0.1:8081` for example.
        token: The bot that is meant; None for the first accepted or the only one.
        session: A session to use; it is left open. None makes one and closes it.

    Every method raises SimRefusedError or SimAwayError besides what it says itself.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str | None = None,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._token = token
        self._given = session
        self._session = session

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None and self._given is None:
            await self._session.close()
            self._session = None

    async def ready(self, within: float = 10.0) -> None:
        """Return when the simulator serves.

        Raises:
            SimAwayError: It does not within so many seconds.
        """
        deadline = asyncio.get_running_loop().time() + within
        while True:
            try:
                await self._request("GET", "/health")
            except SimAwayError:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.05)
            else:
                return

    async def write(  # noqa: PLR0913 - one keyword for each thing a person can choose
        self,
        text: str = "",
        *,
        user: User = DEFAULT_USER,
        chat: User | None = None,
        date: int | None = None,
        entities: Sequence[Mapping[str, Any]] | None = None,
        reply_to: int | None = None,
        photo: bytes | None = None,
    ) -> Written:
        """Write a message as a person.

        Args:
            text: The message, or the caption of a photo.
            user: Who writes: a number, or a User object such as {"id": 7, "first_name": "Ada"}.
            chat: The group that is written to: a number, or a Chat object; None for the private
                chat with the bot.
            date: Unix second of the message; None for now.
            entities: MessageEntity objects; None for those that Telegram finds by itself.
            reply_to: The number of the message that is answered.
            photo: The content of a picture; None for a message of text.
        """
        result = await self._post(
            "/sim/write",
            text=text,
            user=user,
            chat=chat,
            date=date,
            entities=entities,
            reply_to=reply_to,
            photo=None if photo is None else b64encode(photo).decode(),
        )
        return answers.written(result)

    async def write_many(  # noqa: PLR0913 - one keyword for each thing a load can vary in
        self,
        text: str = "",
        *,
        count: int = 0,
        users: int = 1,
        first_user: int = DEFAULT_USER,
        start: int = 0,
        writings: Iterable[Mapping[str, Any]] | None = None,
    ) -> WrittenMany:
        """Write many messages in one request, for load; up to 100,000.

        Args:
            text: The message; {n} in it is counted up from `start`.
            count: How many are written.
            users: How many users write them in turn, each in their own private chat.
            first_user: The first user's number; the others follow.
            start: The first n.
            writings: Instead of all these: the messages, each with the fields of `write`.
        """
        if writings is not None:
            result = await self._post("/sim/write_many", writings=list(writings))
        else:
            result = await self._post(
                "/sim/write_many",
                text=text,
                count=count,
                users=users,
                first_user=first_user,
                start=start,
            )
        return WrittenMany(**result)

    async def edit(self, chat: int, message_id: int, text: str) -> Written:
        """Change the text of a person's message."""
        return answers.written(
            await self._post("/sim/edit", chat=chat, message_id=message_id, text=text)
        )

    async def inject(
        self, update: Mapping[str, Any], *, expires_in: int | None = None
    ) -> int | None:
        """Put an update of any content before the bot.

        Args:
            update: An Update object with one field besides `update_id`, which is not looked at.
            expires_in: Seconds that it lives; None for Telegram's own rule.

        Returns:
            The update's number; None where the bot gets none.
        """
        result = await self._post("/sim/inject", update=update, expires_in=expires_in)
        number: int | None = result["update_id"]
        return number

    async def messages(self, chat: int, *, after: int = 0) -> list[Message]:
        """Return a chat's messages after a number, oldest first."""
        return [
            answers.message(shown)
            for shown in await self._get("/sim/messages", chat=chat, after=after)
        ]

    async def wait_for_answer(
        self,
        chat: int,
        *,
        after: int = 0,
        timeout: float = 10.0,  # noqa: ASYNC109 - the simulator does the waiting
    ) -> Message:
        """Return the bot's first message in a chat after a number, as soon as there is one.

        Args:
            chat: The chat's number.
            after: The message after which it must come: `Written.message_id`.
            timeout: Seconds to wait; the waiting is done by the simulator.

        Raises:
            NoAnswerError: It has not come in time.
        """
        shown = await self._get(
            "/sim/wait", longer=timeout, chat=chat, after=after, timeout=timeout
        )
        if shown is None:
            raise NoAnswerError(
                f"the bot wrote nothing into chat {chat} after message {after} in {timeout:g} s"
            )
        return answers.message(shown)

    @asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[Json]]:
        """Give what happens from now on in every chat of every bot, as the chat page hears of it.

        It ends when the simulator does.
        """
        session = self._session = self._session or aiohttp.ClientSession()
        timeout = aiohttp.ClientTimeout(total=None, sock_read=TIMEOUT)

        async def heard(content: aiohttp.StreamReader) -> AsyncIterator[Json]:
            async for line in content:
                if line.startswith(b"data: "):
                    yield json.loads(line.removeprefix(b"data: "))

        try:
            async with session.get(f"{self.base_url}/sim/events", timeout=timeout) as response:
                yield heard(response.content)
        except (aiohttp.ClientError, TimeoutError) as problem:
            raise SimAwayError(f"no events from the simulator at {self.base_url}") from problem

    async def overview(self) -> Overview:
        """Return how the simulator and its bots stand."""
        return answers.overview(await self._request("GET", "/sim/overview"))

    async def bot(self) -> BotOverview:
        """Return how the bot stands that is meant.

        Raises:
            LookupError: There is no token, and not exactly one bot.
        """
        return answers.overview(await self._get("/sim/overview")).bot

    async def chats(self) -> list[Json]:
        """Return the Chat objects of the bot's chats."""
        return [entry["chat"] for entry in await self._get("/sim/chats")]

    async def press(
        self, chat: int, message_id: int, button: str, *, user: User | None = None
    ) -> Pressed:
        """Press a button under a message as a person.

        Args:
            chat: The chat's number.
            message_id: The message with the button.
            button: Its callback data, or its text.
            user: Who presses it; None for the user of a private chat.
        """
        return Pressed(
            **await self._post(
                "/sim/press", chat=chat, message_id=message_id, button=button, user=user
            )
        )

    async def wait_for_press_answer(
        self,
        callback_query_id: str,
        *,
        timeout: float = 10.0,  # noqa: ASYNC109 - the simulator does the waiting
    ) -> PressAnswer:
        """Return what the bot says to a pressed button, as soon as it does.

        Raises:
            NoAnswerError: It has not said anything in time.
        """
        query = {"callback_query_id": callback_query_id, "timeout": str(timeout)}
        press = await self._request("GET", "/sim/press", within=TIMEOUT + timeout, params=query)
        if press is None:
            raise NoAnswerError(
                f"callback query {callback_query_id} got no answer in {timeout:g} s"
            )
        return PressAnswer(text=press["text"], show_alert=press["show_alert"], url=press["url"])

    async def block(self, chat: int, *, blocked: bool = True) -> None:
        """Have the user of a private chat block the bot, or let it write again."""
        await self._post("/sim/block", chat=chat, blocked=blocked)

    async def set_member(self, chat: int, user: User, status: str) -> int | None:
        """Make a user, or the bot by its number, something in a group.

        Args:
            chat: The group's number.
            user: Whose place in it changes.
            status: creator, administrator, member, left or kicked.

        Returns:
            The number of the update about it; None where the bot gets none.
        """
        result = await self._post("/sim/member", chat=chat, user=user, status=status)
        number: int | None = result["update_id"]
        return number

    async def set_privacy(self, *, enabled: bool) -> None:
        """Choose whether the bot hears in groups only what is meant for it, as BotFather does."""
        await self._post("/sim/privacy", method="PUT", enabled=enabled)

    async def add_fault(self, kind: str, *, method: str = "*", **options: float) -> Fault:
        """Have the simulator get something wrong.

        Args:
            kind: slow, flood, error, reset, broken or lost.
            method: The method that it strikes; `*` for every one.
            options: count, probability, seconds, retry_after, code, delay and seed, as the control
                API takes them.
        """
        body = {"kind": kind, "method": method, **options}
        return answers.fault(await self._request("POST", "/sim/faults", json=body))

    async def faults(self) -> list[Fault]:
        """Return the faults that are there."""
        return [answers.fault(raw) for raw in await self._request("GET", "/sim/faults")]

    async def remove_fault(self, fault_id: int) -> None:
        """Remove one fault."""
        await self._request("DELETE", f"/sim/faults/{fault_id}")

    async def clear_faults(self) -> None:
        """Remove every fault."""
        await self._request("DELETE", "/sim/faults")

    async def set_limits(self, **limits: float) -> Json:
        """Choose how fast bots may send, and return all the limits.

        Args:
            limits: enabled, chat_per_second, chat_burst, group_per_minute and all_per_second; what
                is not named stays.
        """
        chosen: Json = await self._request("PUT", "/sim/limits", json=limits)
        return chosen

    async def advance(self, seconds: float) -> float:
        """Move the simulated time ahead, and return it in Unix seconds."""
        moved = await self._request("POST", "/sim/clock", json={"advance": seconds})
        return float(moved["now"])

    async def _get(self, path: str, *, longer: float = 0.0, **fields: Any) -> Any:
        """Ask something about the bot that is meant."""
        query = {name: str(value) for name, value in fields.items()}
        if self._token is not None:
            query["token"] = self._token
        return await self._request("GET", path, within=TIMEOUT + longer, params=query)

    async def _post(self, path: str, *, method: str = "POST", **fields: Any) -> Any:
        """Have something done to the bot that is meant; a field that is None is left out."""
        body = {name: value for name, value in fields.items() if value is not None}
        if self._token is not None:
            body["token"] = self._token
        return await self._request(method, path, within=LONG_TIMEOUT, json=body)

    async def _request(
        self, method: str, path: str, *, within: float = TIMEOUT, **options: Any
    ) -> Any:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        timeout = aiohttp.ClientTimeout(total=within)
        url = f"{self.base_url}{path}"
        try:
            async with self._session.request(method, url, timeout=timeout, **options) as response:
                answer = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as problem:
            reason = str(problem) or type(problem).__name__
            raise SimAwayError(
                f"no answer from the simulator at {self.base_url}: {reason}"
            ) from problem
        if not answer["ok"]:
            raise SimRefusedError(answer["error"])
        return answer.get("result")
