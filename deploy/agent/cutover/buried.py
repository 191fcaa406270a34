"""What a release has buried that is then undone goes back to its consumers.

A handler that raises moves every event to the dead letters within seconds; that takes less than
noticing it and undoing the release does, and each sender has read that the command was published.
When the old consumers run again, the letters of that time are taken back: their entries, which are
still in the stream, become pending in the group again, as if their consumer had died with them.
They keep id and place, so that nothing is in the stream twice, and are claimed within seconds.
"""

import json
from collections.abc import Mapping, Sequence

from deploy.agent.cutover.journal import Journal
from deploy.agent.host.audit import Audit
from deploy.agent.host.errors import AgentError
from deploy.agent.host.redis_cli import Redis
from deploy.agent.host.release import Release
from shared.keys import buried_of, dead_letters_of, previous_dead_letters_of

BEGINNING = "0-0"
CONSUMER = "deploy"
"""Who holds the entries until a consumer claims what has been idle for so long."""
IDLE_MILLISECONDS = 24 * 3600 * 1000
PAGE = 500

# KEYS[1]  the dead letters
#
# Returns the id of the youngest letter that there ever was.
YOUNGEST = """\
if redis.call('EXISTS', KEYS[1]) == 0 then return ARGV[1] end
local facts = redis.call('XINFO', 'STREAM', KEYS[1])
for i = 1, #facts, 2 do
  if facts[i] == 'last-generated-id' then return facts[i + 1] end
end
"""

# KEYS[1]  the stream
# KEYS[2]  its dead letters
# KEYS[3]  what remembers since when their events are there
# ARGV[1]  the letter after which to begin
# ARGV[2]  how many letters to look at
# ARGV[3]  who holds the entries, ARGV[4] and for how long already, in milliseconds
# ARGV[5]  the id of an event that nobody wants any more, or nothing
# ARGV[6…] the groups whose letters are meant
#
# Returns {given back, not given back as the entry is gone, the last letter looked at or nothing}.
# A letter goes in the step that makes its entry pending: done again, this does nothing more.
GIVE_BACK = """\
local groups, given, left, last = {}, 0, 0, ''
for i = 6, #ARGV do groups[ARGV[i]] = true end
for _, letter in ipairs(redis.call('XRANGE', KEYS[2], '(' .. ARGV[1], '+', 'COUNT', ARGV[2])) do
  last = letter[1]
  local facts = {}
  for i = 1, #letter[2], 2 do facts[letter[2][i]] = letter[2][i + 1] end
  local group, entry = facts['group'], facts['entry_id']
  if groups[group] and entry ~= '' then
    if ARGV[5] ~= '' and facts['event_id'] == ARGV[5] then
      redis.call('XDEL', KEYS[2], last)
    elseif #redis.call('XRANGE', KEYS[1], entry, entry) == 0 then
      left = left + 1
    else
      redis.call('XCLAIM', KEYS[1], group, ARGV[3], 0, entry,
                 'IDLE', ARGV[4], 'RETRYCOUNT', 0, 'FORCE', 'JUSTID')
      redis.call('XDEL', KEYS[2], last)
      redis.call('ZREM', KEYS[3], last)
      given = given + 1
    end
  end
end
return {given, left, last}
"""


def streams(release: Release) -> dict[str, list[str]]:
    """Return the groups that read each stream; an older release tells of one stream only."""
    groups: dict[str, list[str]] | None = release.facts.get("streams")
    smoke = release.facts["smoke"]
    return groups if groups is not None else {smoke["stream"]: smoke["groups"]} if smoke else {}


def letters_of(stream: str) -> tuple[str, str]:
    """Return where a stream's dead letters are, now and for releases of before."""
    return dead_letters_of(stream), previous_dead_letters_of(stream)


def order(entry: str) -> tuple[int, int]:
    """Return an entry id as numbers that compare."""
    milliseconds, _, sequence = entry.partition("-")
    return int(milliseconds), int(sequence or 0)


def youngest(redis: Redis, release: Release) -> dict[str, str]:
    """Return the id of the youngest dead letter of each stream that a release reads.

    Whatever is buried afterwards has a later one, whatever any clock does.
    """

    def ask(key: str) -> str:
        return str(redis.ask("EVAL", YOUNGEST, "1", key, BEGINNING))

    return {
        stream: max((ask(key) for key in letters_of(stream)), key=order)
        for stream in streams(release)
    }


def take_back(
    redis: Redis, groups: Mapping[str, Sequence[str]], journal: Journal
) -> tuple[int, int]:
    """Make the entries of the journal's time pending again in the groups that have buried them.

    Returns how many letters were taken back, and how many have lost their entry and stay.

    Raises:
        AgentError: Redis does not answer; what was done is done, and may be done again.
    """
    total = [0, 0]
    for stream, since in (journal.letters or {}).items():
        for key in letters_of(stream):
            last = since
            while last:
                page = (last, str(PAGE), CONSUMER, str(IDLE_MILLISECONDS), journal.smoke)
                keys = (stream, key, buried_of(stream))
                answer = redis.ask("EVAL", GIVE_BACK, "3", *keys, *page, *groups[stream])
                if not isinstance(answer, list):
                    raise AgentError(f"Redis says: {json.dumps(answer)}")
                total[0] += int(answer[0])
                total[1] += int(answer[1])
                last = str(answer[2])
    return total[0], total[1]


def report(audit: Audit, given: int, gone: int) -> None:
    """Say what `take_back` has returned, where it did anything."""
    if given:
        text = f"{given} events that were buried meanwhile are with their consumers again"
        audit.note("given back", text, count=given)
    if gone:
        text = f"{gone} stay in the dead letters, their entries are gone: make dead-letters"
        audit.note("not given back", text, count=gone)
