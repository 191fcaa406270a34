"""What a caller of the Bot API can get wrong, in the Bot API's own words.

    ApiError
    ├── BadRequestError     400
    ├── UnauthorizedError   401
    ├── ForbiddenError      403
    ├── UnknownMethodError  404
    ├── ConflictError       409
    ├── FloodError          429, with retry_after
    └── NotSimulatedError   501, the simulator's own

The wording is that of tdlib/telegram-bot-api (Client.cpp) and tdlib/td, where the server itself
takes it from Telegram's answer: the first letter small after the prefix.
"""

from typing import Any


class ApiError(Exception):
    """An answer `{"ok": false, …}` of the Bot API."""

    def __init__(self, code: int, description: str, **parameters: Any) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters

    @property
    def retry_after(self) -> int:
        """Seconds after which the caller may try again; 0 where the answer does not say."""
        return int(self.parameters.get("retry_after", 0))


class BadRequestError(ApiError):
    """The request makes no sense."""

    def __init__(self, reason: str) -> None:
        super().__init__(400, f"Bad Request: {reason}")


class UnauthorizedError(ApiError):
    """No bot has this token."""

    def __init__(self, description: str = "Unauthorized") -> None:
        super().__init__(401, description)


class ForbiddenError(ApiError):
    """The bot may not do this to that chat."""

    def __init__(self, reason: str) -> None:
        super().__init__(403, f"Forbidden: {reason}")


class UnknownMethodError(ApiError):
    """The Bot API has no such method."""

    def __init__(self, description: str = "Not Found: method not found") -> None:
        super().__init__(404, description)


class ConflictError(ApiError):
    """Two callers want what only one can have."""

    def __init__(self, reason: str) -> None:
        super().__init__(409, f"Conflict: {reason}")


class FloodError(ApiError):
    """The bot sends faster than Telegram lets it."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            429, f"Too Many Requests: retry after {retry_after}", retry_after=retry_after
        )


class NotSimulatedError(ApiError):
    """Telegram can do this, the simulator cannot."""

    def __init__(self, what: str) -> None:
        super().__init__(501, f"Not Implemented: telegram_sim does not simulate {what}")
