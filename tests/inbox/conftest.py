"""A ledger on a database of each kind."""

from collections.abc import Callable

import pytest

from tests.databases import CloseLater, close_later, database_url, postgres, sqlite_url
from tests.inbox.ledger import Ledger, new_ledger

__all__ = ["close_later", "database_url", "postgres", "sqlite_url"]

Connect = Callable[[str], Ledger]


@pytest.fixture
def connect_to(close_later: CloseLater) -> Connect:
    """Make ledgers on a database; each is what another process would have."""

    def connect(url: str) -> Ledger:
        ledger = new_ledger()
        ledger.database.connect(url)
        close_later(ledger.database)
        return ledger

    return connect


@pytest.fixture
async def ledger(database_url: str, connect_to: Connect) -> Ledger:
    """A ledger on a database with the tables of this release."""
    ledger = connect_to(database_url)
    await ledger.database.upgrade(database_url)
    return ledger
