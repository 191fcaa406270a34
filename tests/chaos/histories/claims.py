"""The ledger's claims, held against what a history has seen: after every step, and at its end."""

from collections import Counter

from shared.streams.dead_letters.letters import DeadLetter
from tests.chaos.histories.consuming import BYSTANDER, LIMITS
from tests.chaos.histories.record import STREAM, key_of
from tests.chaos.histories.world import World
from tests.chaos.histories.written import GROUPS


def broken(world: World) -> list[str]:
    """Return every claim that does not hold at this moment."""
    world.look()
    record = world.record
    claims = list(record.surprises)
    claims += [f"{w.process.name}: {error!r}" for w in world.workers for error in w.process.errors]
    standing = Counter(key_of(fields) for _, fields in world.client.xrange(STREAM.name))
    claims += [
        f"{key} is in the stream {n} times"
        for key, n in standing.items()
        if key in record.updates and n > 1
    ]
    claims += [
        f"{key} was appended again, and nobody replayed it"
        for key, ids in record.entries.items()
        if len([id_ for id_ in ids if id_ not in record.replayed]) > 1
    ]
    claims += [f"{key} was refused {n} times" for key, n in record.refused.items() if n > 1]
    claims += [f"{key} is in the stream and refused" for key in record.refused if standing[key]]
    claims += [
        f"{group} had {key} {n} times" for (group, key), n in record.effects.items() if n > 1
    ]
    claims += [f"{len(who)} had term {n}" for n, who in record.holders.items() if len(who) > 1]
    return [*claims, *_answers(world), *_letters(world), *_disorder(world)]


def broken_at_the_end(world: World) -> list[str]:
    """Return every claim that does not hold when everything has arrived."""
    claims, record = broken(world), world.record
    given_up = {(group, key) for group, key, _ in record.letters.values()}
    for group in world.client.xinfo_groups(STREAM.name) if world.client.exists(STREAM.name) else []:
        if group["pending"] or group["lag"]:
            claims.append(f"{group['name'].decode()} is not finished: {group}")
    if any(bot.contends for bot in world.bots) and not any(bot.holds for bot in world.bots):
        claims.append("nobody holds the lease")
    for key, update in record.updates.items():
        there = key in record.entries
        if record.answered[key] and there == (key in record.refused):
            claims.append(
                f"{key} was answered for and is in both the stream and the letters, or none"
            )
        if not there:
            continue
        claims += [
            f"{group} never had {key}, and has not given it up: {update.text.fates[group]}"
            for group in GROUPS
            if not record.effects[group, key] and (group, key) not in given_up
        ]
    for entry, fields in record.garbage.items():
        claims += [
            f"{group} has no letter of the foreign entry {entry}, or not all of it"
            for group in GROUPS
            if not _is_kept(world, group, entry, fields)
        ]
    return claims


def _answers(world: World) -> list[str]:
    """Return where a publisher was told something that is not so."""
    record = world.record
    return [
        f"{key} was answered {answer or 'refused'}, and is {record.entries.get(key) or 'refused'}"
        for key, answers in record.answered.items()
        for answer in answers
        if (answer not in record.entries.get(key, []) if answer else key not in record.refused)
    ]


def _letters(world: World) -> list[str]:
    """Return the letters of which nobody knows why they were written, or what of."""
    claims = []
    for id_, (group, key, fields) in world.record.letters.items():
        letter = DeadLetter.parse(fields)
        if group and key in world.record.updates:
            blame = world.record.blame[group, key]
            if blame < LIMITS.deliveries - BYSTANDER:
                claims.append(f"{group} has given up {key}, which did nothing: {letter.reason}")
            if letter.event_id != key[1]:
                claims.append(f"letter {id_} of {key} is called {letter.event_id!r}")
    return claims


def _is_kept(world: World, group: str, entry: str, fields: dict[bytes, bytes]) -> bool:
    return any(
        of == group
        and DeadLetter.parse(letter).entry_id == entry
        and all(any(value in kept for kept in letter.values()) for value in fields.values())
        for of, _, letter in world.record.letters.values()
    )


def _disorder(world: World) -> list[str]:
    """Return the users whose commands were not appended in the order in which they were written."""
    record = world.record
    last: dict[tuple[str, int], int] = {}
    claims = []
    firsts = [
        (_place(id_), key)
        for key, ids in record.entries.items()
        for id_ in ids
        if id_ not in record.replayed
    ]
    for _, key in sorted(firsts):
        update = record.updates[key]
        user = (update.source, update.text.user)
        if update.number < last.get(user, 0):
            claims.append(f"{key} stands after what user {user} wrote later")
        last[user] = max(update.number, last.get(user, 0))
    return claims


def _place(id_: str) -> tuple[int, ...]:
    return tuple(map(int, id_.split("-")))
