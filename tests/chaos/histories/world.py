"""What a history acts on: a server, processes, users, an operator, and time that passes.

Two bots publish what users write, as Telegram repeats it, and contend for one lease; another
service publishes under the same ids, which are its own. Two groups handle every event, each with a
store of its own.
"""

from contextlib import suppress
from typing import Any

from redis.exceptions import OutOfMemoryError

from shared.streams.dead_letters.graveyard import BuriedLetter, Graveyard, NotReplayableError
from tests.chaos.histories.clock import ServerWithClock
from tests.chaos.histories.consuming import Member, Store
from tests.chaos.histories.publishing import Publishing
from tests.chaos.histories.record import STREAM, Fields, Record
from tests.chaos.histories.written import BOT, CRON, GROUPS, Text, Update

MEMBERS = {"table": 2, "mail": 1}
DAY = 86400.0


class World:
    """Everything that there is, and what may happen to it."""

    def __init__(self, server: ServerWithClock) -> None:
        self.server, self.clock = server, server.clock
        self.client: Any = server.client()
        self.client.flushall()
        self.client.config_set("maxmemory", 0)
        self.full = self.mended = self.restarted = self.slow = False
        self.record = Record()
        self.stores = {group: Store() for group in GROUPS}
        self._confirmed = {BOT: 0, CRON: 0}
        self.bots = [Publishing(self, f"bot {number}", BOT) for number in range(2)]
        self.publishing = [*self.bots, Publishing(self, "cron", CRON)]
        self.members = [Member(self, g, n) for g in GROUPS for n in range(MEMBERS[g])]
        self.settle()  # who makes his group after a week is promised nothing of what was before

    # Users

    def write(self, source: str, text: Text) -> None:
        """Let a user write something."""
        number = 1 + sum(update.source == source for update in self.record.updates.values())
        update = Update(number, source, text, self.clock.time())
        self.record.updates[update.key] = update

    def unconfirmed(self, source: str) -> list[Update]:
        """Return what is still to be published; nobody repeats it after a day."""
        since = self.clock.time() - DAY
        return [
            update
            for update in self.record.updates.values()
            if update.source == source
            and update.number > self._confirmed[source]
            and update.written > since
        ]

    def confirm(self, source: str, number: int) -> None:
        """Take note that everything up to a number is published."""
        self._confirmed[source] = max(self._confirmed[source], number)

    # Time

    @property
    def workers(self) -> list[Publishing | Member]:
        """Return everything that is a process, in the order in which they run."""
        return [*self.publishing, *self.members]

    def settle(self) -> None:
        """Let everybody work until all wait for time to pass."""
        self._work()
        self.look()

    def run(self, seconds: float) -> None:
        """Let time pass; what died is started again."""
        until = self.clock.monotonic() + seconds
        while True:
            self._work()
            self.start_the_dead()
            moment = min(worker.process.next_timer() for worker in self.workers)
            if moment > until:
                break
            self.clock.forward(moment)
        self.clock.forward(until)
        self.settle()

    def _work(self) -> None:
        worked = True
        while worked:
            published = [worker.process.run() for worker in self.publishing]
            worked = any([*published, *[member.process.run() for member in self.members]])
            if any(published):
                self.look()  # a full server is trimmed at once

    def sleep(self, seconds: float) -> None:
        """Let everybody sleep, as a suspended machine does."""
        self.settle()
        self.record.disturb()
        self.clock.forward(self.clock.monotonic() + seconds)
        self.settle()

    def start_the_dead(self) -> None:
        """Start what has died."""
        for worker in self.workers:
            if worker.process.dead:
                worker.start()

    # Faults

    def restart_server(self) -> None:
        """Kill the server and start it again; once in a history, it takes long."""
        if self.restarted:
            return
        self.restarted = True
        self.settle()
        self.record.disturb()
        self.server.kill()
        self.server.start()
        self.set_memory(full=self.full)

    def set_memory(self, *, full: bool) -> None:
        """Leave the server no room, or give it room again."""
        self.full = full
        self.client.config_set("maxmemory", int(self.full))

    def acknowledge_slowly(self, *, slow: bool) -> None:
        """Let what the members acknowledge arrive late, or at once again."""
        self.slow = slow
        for member in self.members:
            member.process.slow = slow

    def freeze(self, worker: Publishing | Member) -> None:
        """Stop a process where it stands."""
        worker.process.frozen = True
        self.record.disturb()

    def kill(self, worker: Publishing | Member) -> None:
        """Kill a process."""
        worker.process.kill()
        self.record.disturb()

    def foreign(self, fields: Fields) -> None:
        """Let somebody else write an entry that is none of ours, where there is room."""
        if not self.full:
            self.look()
            self.record.foreign(self.client.xadd(STREAM.name, fields).decode(), fields)

    # The operator, and the stores

    def forget(self) -> None:
        """Let the stores forget what cannot come again, as the backend does."""
        for worker in self.publishing:
            for oldest in worker.oldest():
                kept = self.clock.time() - STREAM.retention
                horizon = min(kept, oldest.timestamp() if oldest else kept) - DAY
                for store in self.stores.values():
                    store.forget(horizon)
                return

    def replay(self, which: int | None) -> None:
        """Replay one letter, or all as they were listed."""
        graveyard, listed = self._letters(which)
        for letter in listed:
            self.look()
            with suppress(NotReplayableError, OutOfMemoryError):
                graveyard.replay(letter)
            self.look(replaying=True)

    def drop(self, which: int) -> None:
        """Drop one letter."""
        graveyard, listed = self._letters(which)
        for letter in listed:
            graveyard.drop(letter)

    def _letters(self, which: int | None) -> tuple[Graveyard, list[BuriedLetter]]:
        """Return the letters that somebody sees who looks now, or one of them."""
        graveyard = Graveyard(self.client, {STREAM.name: STREAM})
        listed = list(graveyard.letters(STREAM.name))
        if which is not None and listed:
            listed = [listed[which % len(listed)]]
        return graveyard, listed

    def look(self, *, replaying: bool = False) -> None:
        """Take note of what is new."""
        self.record.look(self.client, replaying=replaying)
        self.look_at_leases()

    def look_at_leases(self) -> None:
        """Take note of who takes himself for the holder."""
        for bot in self.bots:
            if bot.holds and bot.lease is not None:
                self.record.holders[bot.lease.term].add(bot.lease.owner)
        if sum(bot.holds for bot in self.bots) > 1:
            self.record.surprises.append("both bots hold the lease")

    def close(self) -> None:
        """End every process."""
        for worker in self.workers:
            worker.process.thaw()
            worker.process.kill()
        self.client.close()
