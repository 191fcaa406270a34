"""Columns that mean the same on PostgreSQL and SQLite, and the names of what stands on them."""

from datetime import UTC, datetime

from sqlalchemy import BigInteger, DateTime, Integer, MetaData, TypeDecorator
from sqlalchemy.engine import Dialect

NAMES = {
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
}
"""How constraints are called: a later revision can drop what it can name."""

# SQLite counts rows by itself only in a column whose type is exactly INTEGER.
RowId = BigInteger().with_variant(Integer, "sqlite")
"""The type of a primary key that counts by itself."""


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


def new_metadata() -> MetaData:
    """Return the home of a service's tables; their constraints get names that can be relied on."""
    return MetaData(naming_convention=NAMES)


def now() -> datetime:
    """Return the time that goes into a row."""
    return datetime.now(UTC)


def storable(value: str) -> str:
    """Return text as a column takes it: NUL, which PostgreSQL refuses, becomes U+FFFD."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
