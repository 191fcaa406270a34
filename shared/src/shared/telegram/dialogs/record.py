"""Where one user stands in the dialogs of a bot, as it is written to Redis."""

import json
from dataclasses import dataclass, field
from typing import Any

Key = tuple[int | str, ...]
"""What python-telegram-bot tells conversations of one dialog apart by."""


class UnstorableError(TypeError):
    """A dialog's state, or what it keeps of its user, is nothing that JSON holds as it is."""


@dataclass(slots=True)
class Record:
    """One user's dialogs, and `context.user_data`.

    Attributes:
        raw: the record as it was read; empty where there was none.
        step: how many steps were taken.
        states: the state of each conversation, by the dialog's name and its key.
        data: what handlers keep of the user.
    """

    raw: bytes = b""
    step: int = 0
    states: dict[tuple[str, Key], int | str] = field(default_factory=dict)
    data: dict[Any, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, raw: bytes | None) -> "Record":
        """Return what a record says."""
        if not raw:
            return cls()
        fields = json.loads(raw)
        states = {(name, tuple(key)): state for name, key, state in fields["states"]}
        return cls(raw, fields["step"], states, fields["data"])

    def written(self) -> bytes:
        """Return the record after one more step, which is unlike every one before it.

        It is empty where there was none and nothing is to be remembered.

        Raises:
            UnstorableError: a state is neither a number nor a text, or JSON would hold something
                other than what there is.
        """
        if not (self.raw or self.states or self.data):
            return b""
        for (name, _), state in self.states.items():
            if not isinstance(state, int | str):
                raise UnstorableError(f"a state of {name} is neither a number nor a text")
        states = [[name, [*key], state] for (name, key), state in self.states.items()]
        try:
            data = json.dumps(self.data)
            same = json.loads(data) == self.data
        except (TypeError, ValueError, RecursionError):
            same = False
        if not same:
            raise UnstorableError("user_data holds something that JSON does not hold as it is")
        fields = {"step": self.step + 1, "states": states, "data": self.data}
        return json.dumps(fields, separators=(",", ":")).encode()
