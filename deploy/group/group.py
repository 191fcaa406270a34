"""A group as it was seen: its locks, and whether the copies of its stores are whole."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from deploy.agent.host.errors import DIFFERENT
from deploy.errors import UnavailableError, UsageError
from deploy.group.looking import Look
from deploy.group.members import Member
from deploy.host.heartbeat import locked

WHOLE_WITHIN = 300
"""Seconds that the copies have to be whole again after something was changed."""


@dataclass
class Group:
    """The servers of an environment, and what was seen of them.

    Attributes:
        members: All of them, in the inventory's order.
        away: Those that are left out: they are known to be gone.
        looks: What was seen of the others, by name.
        who: Who asks.
    """

    members: Sequence[Member]
    away: Sequence[Member]
    looks: Mapping[str, Look]
    who: str

    @property
    def there(self) -> list[Member]:
        """Return the members that are not left out."""
        return [member for member in self.members if member not in self.away]

    def running(self) -> list[Member]:
        """Return the members that run a release."""
        return [member for member in self.there if self.looks[member.host.name].current]

    def in_turn(self, members: Sequence[Member]) -> list[Member]:
        """Return members in the order of their turns: who leads a store hands it over last."""
        return sorted(
            members, key=lambda member: len(self.looks[member.host.name].status.get("leads", ()))
        )

    def lacking(self, asked: Member, without: Sequence[Member] = (), seconds: float = 0) -> str:
        """Return what lacks of the copies, in one line; nothing where they are whole.

        Args:
            asked: The member whose agent looks at all.
            without: Members that do not count, besides those that are away.
            seconds: How long to wait until nothing lacks.
        """
        away = ",".join(member.address for member in (*self.away, *without))
        lines: list[str] = []
        words = ("whole", "--seconds", str(seconds), "--away", away)
        asked.link.install_agent()
        code = asked.link.agent_stream(words, lines.append)
        if code not in {0, DIFFERENT}:
            raise UnavailableError(f"{asked.host.name}: {lines[-1] if lines else 'no answer'}")
        return "; ".join(lines) if code else ""

    @contextmanager
    def locks(self, reason: str) -> Iterator[None]:
        """Hold the lock of every member that is there, in one order, or of none."""
        with ExitStack() as held:
            for member in self.there:
                held.enter_context(locked(member.link, self.who, reason))
            yield


def gone(members: Sequence[Member], names: str) -> list[Member]:
    """Return the member that is said to be gone.

    Raises:
        UsageError: There is none of that name, or nothing would be left to decide.
    """
    wanted = [name for name in names.split(",") if name]
    known = [member.host.name for member in members]
    if unknown := [name for name in wanted if name not in known]:
        raise UsageError(f"no server is called {unknown[0]!r}; there are: {', '.join(known)}")
    if len(wanted) > 1:
        raise UsageError(f"without {' and '.join(wanted)} no majority is left: it takes two")
    return [member for member in members if member.host.name in wanted]
