"""Which control request is answered by what."""

from collections.abc import Awaitable, Callable
from typing import Any

from telegram_sim.control.fields import Fields

Handler = Callable[[Fields], Awaitable[Any]]

# The HTTP method, the path, and what answers.
Routes = tuple[tuple[str, str, Handler], ...]
