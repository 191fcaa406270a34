"""`python -m backend`: settings from the environment, one line where they are wrong."""

import asyncio
import logging
import os
import sys

import structlog
from sqlalchemy import make_url

from backend.database import UnusableDatabaseError
from backend.process import ListenError, run
from backend.settings import Settings
from shared.generated.events import ConsumerStoppedError
from shared.logs import configure_logging, hide
from shared.settings import SettingsError, exit_with, load_settings

log = structlog.get_logger("backend")


def main() -> int:
    """Run the backend and return its exit status.

    Returns:
        0 after a signal and a complete drain, 69 where the port is taken, 78 where a setting is
        missing or wrong or the database refuses it, 1 where the subscriber stopped by itself.
    """
    try:
        settings = load_settings(Settings)
    except SettingsError as error:
        exit_with(error, "backend")
    configure_logging("backend", level=settings.log_level, format=settings.log_format)
    for library in ("alembic", "uvicorn"):
        logging.getLogger(library).setLevel(logging.WARNING)
    for url in (settings.database_url, settings.redis_url):
        hide(make_url(url).password or "")
    try:
        asyncio.run(run(settings))
    except UnusableDatabaseError as error:
        exit_with(SettingsError(str(error)), "backend")
    except ListenError as error:
        log.error("cannot start", reason=str(error))  # noqa: TRY400 — no traceback: not our fault
        return os.EX_UNAVAILABLE
    except ConsumerStoppedError as error:
        log.error("the subscriber stopped by itself", reason=str(error))  # noqa: TRY400 — the same
        return 1
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
