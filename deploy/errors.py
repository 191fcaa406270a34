"""What goes wrong, as finished messages.

DeployError           `code` is the exit code
├── UsageError        64: the command line, an unknown host
├── DataError         65: services.yml, a dirty checkout, rendered files out of date
├── UnavailableError  69: a host or a program that is needed does not answer
│   └── ConnectionLostError  the host cannot be reached, or no more
└── ConfigError       78: an inventory, a key, a secret
"""

import os
from collections.abc import Sequence


class DeployError(Exception):
    """Something that a person can mend; `str` is the finished message."""

    code = 1


class UsageError(DeployError):
    """The command was called wrongly."""

    code = os.EX_USAGE


class DataError(DeployError):
    """What is to be deployed is not fit for it."""

    code = os.EX_DATAERR


class UnavailableError(DeployError):
    """Something that is needed does not answer."""

    code = os.EX_UNAVAILABLE


class ConnectionLostError(UnavailableError):
    """SSH could not connect, or lost the connection."""


class ConfigError(DeployError):
    """The deployer is not set up."""

    code = os.EX_CONFIG


class RemoteError(DeployError):
    """A command on the host failed; `code` is its exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class MembersError(DeployError):
    """What went wrong on servers of a group: `errors` has name and error; `code` is the worst."""

    def __init__(self, errors: Sequence[tuple[str, DeployError]]) -> None:
        super().__init__("; ".join(f"{name}: {error}" for name, error in errors))
        self.errors = tuple(errors)
        self.code = max(error.code for _, error in errors)
