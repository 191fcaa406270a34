"""The tables, as the migrations make them. A test holds the two together."""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


class Moment(TypeDecorator[datetime]):
    """A time with its offset, kept in UTC: SQLite drops offsets, and gives times back naive."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn what goes into a row to UTC."""
        del dialect
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Say of what comes out of a row that it is UTC."""
        del dialect
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


# SQLite counts rows by itself only in a column whose type is exactly INTEGER.
RowId = BigInteger().with_variant(Integer, "sqlite")

SOURCE_OF_BEFORE = "/tg_bot"
"""Whose events those count as that a release stored which knew no sources: nearly all were the
bot's, and one of them that is delivered again is recognised."""

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
    Column("source", Text, nullable=False, server_default=SOURCE_OF_BEFORE),
    Column("user_id", BigInteger, nullable=False, index=True),
    Column("command", Text, nullable=False),
    Column("args", JSON, nullable=False),
    Column("sent_at", Moment, nullable=False),
    Column("stored_at", Moment, nullable=False),
    UniqueConstraint("source", "event_id"),
)

inbox = Table(
    "inbox",
    metadata,
    Column("handler", Text, primary_key=True),
    Column("source", Text, primary_key=True, server_default=SOURCE_OF_BEFORE),
    Column("event_id", Text, primary_key=True),
    Column("handled_at", Moment, nullable=False),
)
