"""`python -m backend`: settings from the environment, one line where they are wrong."""

import sys

from backend.process import run
from backend.settings import Settings
from shared.process import run_process


def main() -> int:
    """Run the backend and return its exit status.

    Returns:
        0 after a signal and a complete drain, 69 where the port is taken, 78 where a setting is
        missing or wrong or the database refuses it, 1 where the subscriber stopped by itself.
    """
    return run_process("backend", Settings, run)


if __name__ == "__main__":
    sys.exit(main())
