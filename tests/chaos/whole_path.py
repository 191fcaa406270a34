"""The rig of the whole path, from Telegram to the table."""

import asyncio
from pathlib import Path

from shared.generated.events import telegram_update
from shared.keys import beside
from shared.streams import lease
from telegram_sim.client import Overview, SimClient
from tests.chaos import backend_that_dies, bot_that_dies
from tests.chaos.ledger import Sent
from tests.chaos.rig import CLAIMED, CONSUMER_POINTS, PUBLISHER_POINTS, Rig
from tests.chaos.worker import Worker
from tests.processes import TOKEN, Service, simulator, url_of
from tests.servers import free_port

FAILED = "Failed to send command."
PARKED = beside(telegram_update.name, f"parked:{TOKEN.partition(':')[0]}")
"""Where the bot keeps what it has confirmed and not finished."""
KEPT = "Something went wrong on my side. Your message is kept, and somebody will look at it."


class WholePath(Rig):
    """Simulator, bot, Redis, backend on SQLite: every part a process, every part is killed."""

    async def set_up(self) -> None:
        """Start the simulator and make both workers."""
        self.sim = simulator(self.folder / "telegram", limits=False)
        self._stack.enter_context(self.sim)
        self.telegram = await self._stack.enter_async_context(SimClient(url_of(self.sim)))
        await self.telegram.ready(60)
        self._written = asyncio.Lock()
        order, common = self.variables("bot", "sender")
        bot_points = (*PUBLISHER_POINTS, bot_that_dies.AFTER_FETCH, bot_that_dies.BEFORE_CONFIRM)
        telegram = {
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_API_URL": url_of(self.sim),
            "API_BASE_URL": "http://127.0.0.1:1",
            "HEALTH_HOST": "127.0.0.1",
            "MESSAGES_PER_MINUTE": "0",  # two hundred people write as fast as a machine
            "BYTES_PER_DAY": "0",
            "LOG_FORMAT": "json",
        }
        self.sender = Worker(
            "bot",
            lambda: Service("tg_bot", HEALTH_PORT=str(free_port()), **telegram, **common),
            "tests.chaos.bot_that_dies",
            bot_points,
            order,
            absence=lease.LENGTH,
        )
        backend_order, backend_common = self.variables("backend", "receiver")
        database = {"DATABASE_URL": f"sqlite+aiosqlite:///{self.table}", "HTTP_PORT": "0"}
        self.receiver = Worker(
            "backend",
            lambda: Service("backend", LOG_FORMAT="json", **database, **backend_common),
            "tests.chaos.backend_that_dies",
            (*CONSUMER_POINTS, backend_that_dies.BEFORE_COMMIT),
            backend_order,
            absence=CLAIMED,
        )

    @property
    def table(self) -> Path:
        """Return the backend's SQLite file."""
        return self.folder / "backend.sqlite"

    async def hand_over(self, texts: list[tuple[int, str]]) -> None:
        """Write messages as users; the simulator has them on disk when it answers."""
        writings = [{"user": user, "text": text} for user, text in texts]
        async with self._written:
            written = await self.telegram.write_many(writings=writings)
        assert written.updates == len(texts)
        assert written.first_update_id is not None
        assert written.last_update_id == written.first_update_id + len(texts) - 1
        bot_id = TOKEN.partition(":")[0]
        first = written.first_update_id
        self.sent += [
            Sent(f"{bot_id}:{first + n}", user, text) for n, (user, text) in enumerate(texts)
        ]

    async def hand_over_bad(self, user: int, text: str) -> None:
        """Send a command that nobody has written: it can be no event."""
        message = {
            "message_id": len(self.sent) + 1_000_000,
            "date": int((await self._overview()).now),
            "chat": {"id": user, "type": "private", "first_name": "Nobody"},
            "text": text,
            "entities": [{"type": "bot_command", "offset": 0, "length": len("/command")}],
        }
        async with self._written:
            update_id = await self.telegram.inject({"message": message})
        self.sent.append(Sent(f"{TOKEN.partition(':')[0]}:{update_id}", user, text, bad=True))

    async def hand_over_odd(self, user: int, text: str) -> None:
        """Send a command that answers a message without what a message has to have."""
        message = {
            "message_id": len(self.sent) + 2_000_000,
            "date": int((await self._overview()).now),
            "chat": {"id": user, "type": "private", "first_name": "Somebody"},
            "from": {"id": user, "is_bot": False, "first_name": "Somebody"},
            "text": text,
            "entities": [{"type": "bot_command", "offset": 0, "length": len("/command")}],
            "reply_to_message": {"message_id": 1},
        }
        async with self._written:
            update_id = await self.telegram.inject({"message": message})
        self.odd.append(Sent(f"{TOKEN.partition(':')[0]}:{update_id}", user, text))

    async def _overview(self) -> Overview:
        async with self._written:
            return await self.telegram.overview()

    async def unconfirmed(self) -> int:
        """Return how many updates wait in the simulator, or are confirmed and not finished."""
        waiting = int((await self._overview()).bot.pending)
        return waiting + int(await asyncio.to_thread(self.redis.do, lambda c: c.hlen(PARKED)))

    async def informed(self, users: set[int]) -> frozenset[int] | None:
        """Return the users in whose chat the bot has said that a command failed."""
        return await self._who_reads(users, FAILED)

    async def told_kept(self) -> frozenset[int]:
        """Return the senders of odd updates in whose chat the bot has said that theirs is kept."""
        return await self._who_reads({sent.user for sent in self.odd}, KEPT)

    async def _who_reads(self, users: set[int], text: str) -> frozenset[int]:
        chats = {user: await self.telegram.messages(user) for user in users}
        return frozenset(
            user
            for user, messages in chats.items()
            if any(m.from_bot and m.text == text for m in messages)
        )

    async def kill_telegram(self, down: float) -> None:
        """Send SIGKILL to the simulator and start it again after a while."""
        async with self._written:
            await asyncio.to_thread(self.sim.kill)
            await asyncio.sleep(down)
            self.sim.start()
            await self.telegram.ready(60)
        self.restarts["telegram: SIGKILL"] += 1

    async def break_telegram(self, kind: str, method: str, count: int) -> None:
        """Have the next calls of a method fail in one way."""
        async with self._written:
            await self.telegram.add_fault(kind, method=method, count=count)
        self.restarts[f"telegram: {kind} {method}"] += count
