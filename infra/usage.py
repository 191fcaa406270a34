"""Command lines that end wrong usage as sysexits says."""

import argparse
import os
import sys
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and exit status 64, without abbreviations."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Print the usage and the error, and end the process."""
        self.print_usage(sys.stderr)
        self.exit(os.EX_USAGE, f"herald: {message}\n")
        raise AssertionError
