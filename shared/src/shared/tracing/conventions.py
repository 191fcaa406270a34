"""The names that spans and their attributes have, and the version of the conventions they are of.

Source: opentelemetry.io/docs/specs/semconv, messaging and database. The messaging conventions are
not stable yet, so they are pinned: whoever takes a newer version takes all of its names, here.
"""

VERSION = "1.44.0"
"""Of OpenTelemetry's semantic conventions; `tests/shared/tracing` holds the names to it."""
SCHEMA_URL = f"https://opentelemetry.io/schemas/{VERSION}"

SYSTEM = "messaging.system"
OPERATION = "messaging.operation.name"
OPERATION_TYPE = "messaging.operation.type"
DESTINATION = "messaging.destination.name"
GROUP = "messaging.consumer.group.name"
MESSAGE_ID = "messaging.message.id"
BATCH = "messaging.batch.message_count"
DATABASE = "db.system.name"
ERROR = "error.type"

ATTEMPT = "herald.delivery.attempt"
"""Which handing over of an entry it is, from 1 on; the conventions know that of Google and Azure
only."""

REDIS, TELEGRAM = "redis", "telegram"
UPDATES = "updates"
"""Where updates come from, as a destination."""
