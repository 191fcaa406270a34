"""`python -m backend.undo EVENT_ID`: undo the smoke test of a deploy."""

import sys

from backend.commands import database
from backend.settings import Settings
from shared.inbox import run_undo

if __name__ == "__main__":
    sys.exit(run_undo(database, Settings, lambda it: it.database_url, sys.argv[1:]))
