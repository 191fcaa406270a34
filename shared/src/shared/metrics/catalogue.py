"""Every metric of a process, in one place: its name, what it says, its labels.

Names that begin with `faststream_` are those of FastStream's own Prometheus middleware where the
meaning is the same (faststream.airt.ai/latest/getting-started/prometheus), so that its dashboards
work; they have the labels `app_name` and `broker` besides.
"""

from shared.metrics.instruments import EVENTS, Counter, Gauge, Histogram, Instrument

PUBLISHED = Counter(
    "faststream_published_messages_total",
    "Events that were published, or refused, by stream.",
    *("destination", "status"),
)
PUBLISH_SECONDS = Histogram(
    "faststream_published_messages_duration_seconds",
    "Seconds from handing over an event until it is durable, by stream.",
    "destination",
)
DUPLICATES = Counter(
    "herald_duplicates_total", "Publishes of an event that was in the stream already.", "stream"
)
BATCH_EVENTS = Histogram(
    "herald_publish_batch_events", "Events that share one call to Redis.", "stream", bounds=EVENTS
)
PROCESSED = Counter(
    "faststream_received_processed_messages_total",
    "Deliveries by outcome: acked, or nacked, to be tried again or buried.",
    *("handler", "status"),
)
HANDLER_SECONDS = Histogram(
    "faststream_received_processed_messages_duration_seconds",
    "Seconds that a handler took.",
    "handler",
)
IN_HAND = Gauge(
    "faststream_received_messages_in_process",
    "Entries that this process has taken and not finished with, by stream.",
    "handler",
)
RETRIES = Counter("herald_retries_total", "Entries that are handed out again.", "stream", "group")
BURIED = Counter(
    "herald_dead_letters_total", "Entries that were moved to the dead letters.", "stream", "group"
)
STANDING = Gauge(
    "herald_dead_letters_standing", "Dead letters that nobody has replayed or dropped.", "stream"
)
LAG = Gauge("herald_group_lag_entries", "Entries that a group has not read.", "stream", "group")
LAG_SECONDS = Gauge(
    "herald_group_lag_seconds", "Age of the oldest entry not read.", "stream", "group"
)
PENDING = Gauge(
    "herald_group_pending_entries", "Entries read and not finished with.", "stream", "group"
)
OLDEST_PENDING = Gauge(
    "herald_group_oldest_pending_seconds", "Age of the oldest pending entry.", "stream", "group"
)
MEMORY_USED = Gauge("herald_redis_memory_used_bytes", "Memory that Redis has used.")
MEMORY_LIMIT = Gauge("herald_redis_memory_limit_bytes", "Memory that Redis may use.")
BACKUP_TIME = Gauge(
    "herald_backup_timestamp_seconds", "When the newest backup was made, in Unix seconds."
)
UPDATES = Counter(
    "herald_updates_total",
    "Updates by what became of them.",
    "outcome",
    known=("fetched", "handled", "refused", "kept", "delayed", "parked"),
)
POLL_AGE = Gauge("herald_poll_age_seconds", "Seconds since the last good getUpdates.")
POLL_FAILURES = Counter("herald_poll_failures_total", "Calls of getUpdates that failed.")
POLL_CONFLICTS = Counter(
    "herald_poll_conflicts_total", "Those that failed because somebody else polls."
)
POLLS = Gauge("herald_polls", "1 while this process holds the lease and polls, 0 on standby.")
REPLIES = Counter(
    "herald_replies_total",
    "Replies by what became of them.",
    "outcome",
    known=("sent", "refused", "given_up", "dropped"),
)
REPLIES_LIMITED = Counter("herald_replies_limited_total", "Replies that Telegram told to wait.")
REPLIES_WAITING = Gauge("herald_replies_waiting", "Replies that wait to be sent.")
INBOX = Gauge("herald_inbox_rows", "Events that an inbox remembers.", "handler")
BUILD = Gauge("herald_build_info", "1, with the service's name and version.", "service", "version")

INSTRUMENTS: tuple[Instrument[float] | Histogram, ...] = tuple(
    value for value in dict(globals()).values() if isinstance(value, Instrument)
)
