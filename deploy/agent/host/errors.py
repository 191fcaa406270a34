"""What goes wrong on the host, as a finished line."""

import os

DIFFERENT = 2
"""The exit code of a check that found something that is not as it should be."""


class AgentError(Exception):
    """Something that a person can mend; `str` is the finished line, `code` the exit code."""

    def __init__(self, message: str, code: int = os.EX_UNAVAILABLE) -> None:
        super().__init__(message)
        self.code = code
