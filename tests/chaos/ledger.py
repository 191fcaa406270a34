"""What was sent, what arrived, and which claims that breaks."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Events = Sequence[tuple[str, str]]
"""Event ids with their texts, in the order in which they were findings."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One command on its way: its text is unique, `bad` ones can never be published."""

    event_id: str
    user: int
    text: str
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Findings:
    """What a run has left behind.

    Attributes:
        stream: The entries of the stream.
        refused: The event ids in the dead letters that were refused when they were published.
        no_room: Whose dead letter says that a full Redis had no room; none where it never was full.
        unhandled: The event ids in the dead letters that a group could not handle.
        deadly: Those of them that kill who handles them.
        replayed: The event ids that two groups had buried and one replay has put back.
        odd: Updates that nobody can parse; they are not among what was sent.
        kept: The event ids in the dead letters of updates.
        told_kept: Users who were told that what they sent is kept.
        audited: What the second of these groups has handled, as often as it has.
        table: The rows of the table.
        pending: Entries that the group has read but not finished with.
        lag: Entries that the group has not read.
        informed: Users who were told of a command that failed; None where nobody can be.
    """

    stream: Events
    refused: Sequence[str]
    unhandled: Sequence[str]
    table: Events
    pending: int
    lag: int | None
    informed: frozenset[int] | None
    no_room: frozenset[str] = frozenset()
    deadly: frozenset[str] = frozenset()
    replayed: Sequence[str] = ()
    audited: Sequence[str] = ()
    odd: Sequence[Sent] = ()
    kept: Sequence[str] = ()
    told_kept: frozenset[int] = frozenset()


@dataclass(slots=True)
class Verdict:
    """How many commands went where, and every claim that does not hold."""

    sent: int
    refused: int = 0
    kept: int = 0
    lost: int = 0
    doubled: int = 0
    broken: list[str] = field(default_factory=list)


def judge(sent: Iterable[Sent], findings: Findings) -> Verdict:
    """Hold what was found against every claim."""
    by_id = {command.event_id: command for command in sent}
    verdict = Verdict(len(by_id), refused=len(set(findings.refused)), kept=len(set(findings.kept)))
    in_stream, in_table = (
        Counter(i for i, _ in findings.stream),
        Counter(i for i, _ in findings.table),
    )
    refused = Counter(findings.refused)
    outcome = in_stream + refused
    doubled = [i for i, count in outcome.items() if count > 1]
    twice_stored = [i for i, count in in_table.items() if count > 1]
    lost = by_id.keys() - outcome.keys()
    unstored = in_stream.keys() - in_table.keys() - findings.deadly
    verdict.lost = len(lost | unstored)
    verdict.doubled = len({*doubled, *twice_stored})
    bad = {command.event_id for command in by_id.values() if command.bad}
    claims: list[tuple[str, Iterable[object]]] = [
        ("lost: neither in the stream nor refused", lost),
        ("doubled: in the stream or the dead letters more than once", doubled),
        ("in the stream and refused too", in_stream.keys() & refused.keys()),
        ("never sent, but there", (outcome.keys() | in_table.keys()) - by_id.keys()),
        ("refused without a reason", refused.keys() - bad - findings.no_room),
        ("changed on the way", _changed(by_id, findings.stream) | _changed(by_id, findings.table)),
        ("order of a user is not kept in the stream", _disordered(by_id, findings.stream)),
        ("in the stream but not in the table", unstored),
        ("in the table but not in the stream", in_table.keys() - in_stream.keys()),
        ("in the table more than once", twice_stored),
        ("given up by the consumer", set(findings.unhandled) - findings.deadly),
        (
            "replayed, but not handled once by the second group",
            _differ(findings.replayed, findings.audited),
        ),
        ("deadly, but not given up", findings.deadly - set(findings.unhandled)),
        ("pending in the group", range(findings.pending)),
        ("not read by the group", range(1 if findings.lag is None else findings.lag)),
        ("odd, and not kept once", _differ([s.event_id for s in findings.odd], findings.kept)),
        ("odd, and not told", _untold_of_odd(findings)),
        ("refused and not told", _untold(by_id, refused, findings.informed)),
    ]
    for claim, offenders in claims:
        if listed := sorted(map(str, offenders)):
            verdict.broken.append(f"{claim}: {len(listed)}, such as {', '.join(listed[:3])}")
    return verdict


def _differ(one_side: Sequence[str], other: Sequence[str]) -> set[str]:
    """Return what is not on both sides equally often."""
    here, there = Counter(one_side), Counter(other)
    return {*(here - there), *(there - here)}


def _changed(by_id: Mapping[str, Sent], events: Events) -> set[str]:
    return {i for i, text in events if i in by_id and by_id[i].text != text}


def _disordered(by_id: Mapping[str, Sent], stream: Events) -> set[int]:
    """Return the users whose commands do not stand in the order in which they were sent."""
    position = {event_id: n for n, event_id in enumerate(by_id)}
    seen: dict[int, int] = defaultdict(lambda: -1)
    users = set()
    for event_id, _ in stream:
        if event_id in by_id:
            user = by_id[event_id].user
            if position[event_id] < seen[user]:
                users.add(user)
            seen[user] = position[event_id]
    return users


def _untold(
    by_id: Mapping[str, Sent], refused: Iterable[str], informed: frozenset[int] | None
) -> set[int]:
    if informed is None:
        return set()
    return {by_id[i].user for i in refused if i in by_id} - informed


def _untold_of_odd(findings: Findings) -> set[int]:
    """Return who was not told what became of an update that nobody can parse.

    It is kept, unless its own dead letter says that a full Redis had no room for it: only then has
    its sender to be told that it failed.
    """
    failed = findings.informed or frozenset()
    return {
        sent.user
        for sent in findings.odd
        if sent.user not in (failed if sent.event_id in findings.no_room else findings.told_kept)
    }
