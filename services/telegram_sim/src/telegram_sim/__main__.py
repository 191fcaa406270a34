"""`python -m telegram_sim`."""

import asyncio
import os
import sys

from telegram_sim.logs import start_logs
from telegram_sim.server.application import ListenError, serve
from telegram_sim.settings import SettingsError, UsageError, read_settings
from telegram_sim.state import StateError

EXIT_CODES: dict[type[Exception], int] = {
    UsageError: 64,
    ListenError: 69,
    StateError: 74,
    SettingsError: 78,
}


def main() -> int:
    """Run the simulator; return its exit code."""
    try:
        settings = read_settings(os.environ, sys.argv[1:])
        start_logs(settings.log_format)
        asyncio.run(serve(settings))
    except tuple(EXIT_CODES) as problem:
        sys.stderr.write(f"telegram_sim: {problem}\n")
        return EXIT_CODES[type(problem)]
    return 0


if __name__ == "__main__":
    sys.exit(main())
