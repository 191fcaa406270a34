"""`/start` waits for the backend; nobody else does, and no confirmation either."""

import asyncio
import statistics
from collections.abc import AsyncIterator
from time import monotonic

import pytest

from shared.generated.schemas import UserCreate
from telegram_sim.client import SimClient
from tests.processes import bot, health_of, simulator, url_of
from tests.servers import RedisServer
from tg_bot import users
from tg_bot.handlers import greeting
from tg_bot.users import Registration, Users

ADA = UserCreate(id=7, first_name="Ada")
UNREGISTERED = "I cannot register you right now. Please try again later."


class Backend:
    """Accepts requests, and answers none before it is told to."""

    def __init__(self) -> None:
        self.requests = 0
        self.answers = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read a request and hang."""
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.requests += 1
                await self.answers.wait()
                writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
                return
        finally:
            writer.close()


@pytest.fixture
async def backend() -> AsyncIterator[tuple[Backend, str]]:
    """A backend that hangs, and its URL."""
    backend = Backend()
    server = await asyncio.start_server(backend.serve, "127.0.0.1", 0)
    async with server:
        yield backend, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        backend.answers.set()


async def test_a_backend_that_hangs_holds_nobody_up(
    redis_server: RedisServer, backend: tuple[Backend, str]
) -> None:
    """400 /start are confirmed at once, and others get their answers as ever."""
    with simulator(limits=False) as sim:
        starting = bot(redis_server.url, url_of(sim), backend[1])
        starting.variables["REPLIES_PER_SECOND"] = "0"
        with starting as running:
            await asyncio.to_thread(running.wait_for, health_of(running))
            async with SimClient(url_of(sim)) as telegram:
                await telegram.write_many("/start", count=400, users=400, first_user=1)
                took = []
                for _ in range(9):
                    began = monotonic()
                    written = await telegram.write("/command a", user=1000)
                    await telegram.wait_for_answer(1000, after=written.message_id)
                    took.append(monotonic() - began)
                assert (await telegram.overview()).bot.pending <= 1
                assert statistics.median(took) <= 0.5
                assert 0 < backend[0].requests <= users.CONCURRENCY
                answers = [
                    await telegram.wait_for_answer(user, timeout=30) for user in (1, 200, 400)
                ]
                assert {answer.text for answer in answers} == {UNREGISTERED}


async def test_a_backend_that_failed_often_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, backend: tuple[Backend, str]
) -> None:
    """After some failures in a row users are told at once; a later success ends that."""
    monkeypatch.setattr(users, "TIMEOUT", 0.02)
    registering = Users(backend[1])
    for _ in range(users.FAILURES):
        assert await outcome(registering) is Registration.FAILED
    asked = backend[0].requests
    backend[0].answers.set()
    assert await outcome(registering) is Registration.FAILED
    assert backend[0].requests == asked
    monkeypatch.setattr(users, "TIMEOUT", 5.0)
    registering._closed_until = 0.0
    assert await outcome(registering) is Registration.NEW
    assert await outcome(registering) is Registration.NEW
    await registering.close()


async def test_what_waits_is_bounded_and_fails_at_the_stop(
    monkeypatch: pytest.MonkeyPatch, backend: tuple[Backend, str]
) -> None:
    """Everybody hears something: who came too many at once, and who waits when the bot stops."""
    monkeypatch.setattr(users, "CAPACITY", 2)
    registering, outcomes = Users(backend[1]), list[Registration]()
    for _ in range(3):
        registering.register(ADA, outcomes.append)
    assert outcomes == [Registration.FAILED]
    await registering.close()
    assert outcomes == [Registration.FAILED] * 3


async def test_where_nobody_keeps_users_nobody_is_asked() -> None:
    """The user is greeted, and not told that they were registered."""
    assert await outcome(Users("none")) is Registration.UNASKED
    hello = greeting(Registration.UNASKED, "Ada")
    assert hello.startswith("Hello, Ada!\n")
    assert "registered" not in hello


async def outcome(registering: Users) -> Registration:
    """Register a user and return what became of it."""
    done: asyncio.Future[Registration] = asyncio.Future()
    registering.register(ADA, done.set_result)
    return await asyncio.wait_for(done, 10)
