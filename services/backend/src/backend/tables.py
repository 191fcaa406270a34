"""The tables, as the revisions make them; a test holds the two together. The inbox is beside."""

from sqlalchemy import JSON, BigInteger, Column, Table, Text, UniqueConstraint

from shared.inbox import Database, Moment, RowId, new_metadata

metadata = new_metadata()
database = Database("backend", metadata, "backend:migrations", prefix="")
"""Without a prefix: its databases are older than the rule that names have one."""

users = Table(
    "users",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("first_name", Text, nullable=False),
    Column("last_name", Text),
    Column("username", Text),
    Column("language_code", Text),
    Column("registered_at", Moment, nullable=False),
)

commands = Table(
    "commands",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("event_id", Text, nullable=False),
    # Rows of a release that knew no sources count as the bot's.
    Column("source", Text, nullable=False, server_default="/tg_bot"),
    Column("user_id", BigInteger, nullable=False, index=True),
    Column("command", Text, nullable=False),
    Column("args", JSON, nullable=False),
    Column("sent_at", Moment, nullable=False),
    Column("stored_at", Moment, nullable=False),
    UniqueConstraint("source", "event_id"),
)
