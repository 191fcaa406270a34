"""What an error of the database means: will it pass, and is the data at fault?

PostgreSQL's codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
SQLite's codes: https://www.sqlite.org/rescode.html
"""

from collections.abc import Iterator

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# Connection exceptions, rollbacks such as deadlocks, lack of resources, the operator's
# intervention (a server that starts or stops), system errors.
PASSING_CLASSES = ("08", "40", "53", "57", "58")
# 25006: a server that was demoted refuses writes; 55P03: a lock was not to be had.
PASSING_CODES = frozenset({"25006", "55P03"})
PASSING_IN_SQLITE = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR")
# Data exceptions, integrity violations, values beyond a limit of the server.
BLAMING_CLASSES = ("22", "23", "54")


def is_away(error: BaseException) -> bool:
    """Say whether the same work may succeed later: the database is away, starting, full, busy."""
    for cause in _causes(error):
        if isinstance(cause, (OSError, PoolTimeout)):
            return True
        if isinstance(cause, DBAPIError) and cause.connection_invalidated:
            return True
        state = getattr(cause, "sqlstate", None)
        if isinstance(state, str):
            return state.startswith(PASSING_CLASSES) or state in PASSING_CODES
        name = getattr(cause, "sqlite_errorname", None)
        if isinstance(name, str):
            return name.startswith(PASSING_IN_SQLITE)
    return False


def blames_data(error: BaseException) -> bool:
    """Say whether what was to be stored is at fault, so that no repetition will mend it."""
    if isinstance(error, (DataError, IntegrityError)):
        return True
    states = (getattr(cause, "sqlstate", None) for cause in _causes(error))
    return any(isinstance(state, str) and state.startswith(BLAMING_CLASSES) for state in states)


def is_of_database(error: BaseException) -> bool:
    """Say whether an error came from the database or from the way to it."""
    if isinstance(error, (OSError, SQLAlchemyError)):
        return True
    return any(getattr(cause, "sqlstate", None) is not None for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those inside it, as SQLAlchemy and its drivers wrap them."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        inside = getattr(seen, "orig", None)
        seen = inside if isinstance(inside, BaseException) else seen.__cause__
