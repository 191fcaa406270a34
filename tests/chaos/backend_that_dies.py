"""`python -m tests.chaos.backend_that_dies`: the backend, with points at which it can be killed."""

import sys
from typing import Any

from sqlalchemy import Connection, Engine, event

from backend.__main__ import main
from tests.chaos.dying import pass_point
from tests.chaos.points import wrap_group
from tests.chaos.sabotage import sabotage

BEFORE_COMMIT = "before commit"


def wrap_commit() -> None:
    """Put a point before the commit of each transaction that stores a command."""

    @event.listens_for(Engine, "after_cursor_execute")
    def note(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO commands"):
            connection.info["stores"] = True

    @event.listens_for(Engine, "commit")
    def commit(connection: Connection) -> None:
        if connection.info.pop("stores", False):
            pass_point(BEFORE_COMMIT)


if __name__ == "__main__":
    wrap_group()
    wrap_commit()
    sabotage()
    sys.exit(main())
