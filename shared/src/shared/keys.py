"""The names of every key in Redis that belongs to a stream.

A stream's own key is the event's name; whatever stands beside it has that name as its hash tag. So
all keys of one stream share one slot, and a script may touch them together on a Redis Cluster.
Source: redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec, hash tags.
"""

MARKER_LIFETIME = 72 * 3600
"""Seconds for which an event id is remembered; Telegram repeats an update for 24 hours."""
BACKUP_TIME = "herald:backup_time"
"""Key that tells when the newest backup was made, in Unix seconds; whoever makes one sets it."""


def dead_letters_of(stream: str) -> str:
    """Return the key of the stream that takes what a stream could not."""
    return f"{{{stream}}}.dlq"


def previous_dead_letters_of(stream: str) -> str:
    """Return where dead letters were put before they shared the stream's slot."""
    return f"{stream}.dlq"


def beside(stream: str, name: str) -> str:
    """Return the key of something else that is kept beside a stream."""
    return f"{{{stream}}}:{name}"


def marker(stream: str, event_id: str) -> str:
    """Return the key that remembers an event id."""
    return beside(stream, f"id:{event_id}")


def lease_of(stream: str, name: str) -> str:
    """Return the key of a lease that is kept beside a stream."""
    return beside(stream, f"lease:{name}")


def probe_of(stream: str) -> str:
    """Return the key that a write probe sets."""
    return beside(stream, "probe")


def touch_of(stream: str) -> str:
    """Return the key that is written so that a WAIT behind it counts what is before it."""
    return beside(stream, "touch")


def replayed_of(stream: str) -> str:
    """Return the key that tells since when the event of a replayed entry has been in the stream."""
    return beside(stream, "replayed")


def buried_of(stream: str) -> str:
    """Return the key that tells since when the event of a dead letter has been in the stream."""
    return beside(stream, "buried")


def attempts_of(stream: str) -> str:
    """Return the key of the stream that tells why the newest failed attempts have failed."""
    return beside(stream, "attempts")
