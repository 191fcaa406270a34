"""One step of a user's dialogs for one update, by python-telegram-bot's ConversationHandler.

Before the handlers have an update, its user's state is read from Redis and put where the
conversation handlers look for it; when they are done, and what they published is durable, it is
written back. Nothing of it stays in the process, so whichever bot holds the lease goes on with it.
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import structlog
from telegram import Update
from telegram.ext import ConversationHandler, DictPersistence, PersistenceInput

from shared.process import SetupError
from shared.telegram.dialogs.record import Key, Record
from shared.telegram.dialogs.store import Store
from shared.telegram.updates.senders import sender_of

log = structlog.get_logger(__name__)

Dialog = ConversationHandler[Any]
Work = Callable[[], Awaitable[None]]
ATTEMPTS = 5
"""How often an update is handled whose dialog others move meanwhile."""


class DialogMovedError(Exception):
    """A dialog was moved by others whenever an update of it had been handled."""


class Persistence(DictPersistence):
    """What lets a ConversationHandler be `persistent`; it holds nothing, steps are written here."""

    def __init__(self) -> None:
        only_user_data = PersistenceInput(bot_data=False, chat_data=False, callback_data=False)
        super().__init__(store_data=only_user_data)

    async def update_conversation(self, name: str, key: Any, new_state: Any) -> None:
        """Write nothing."""

    async def update_user_data(self, user_id: int, data: Any) -> None:
        """Write nothing."""


class Dialogs:
    """The persistent dialogs among a bot's handlers."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._store: Store | None = None

    def check(self) -> None:
        """Raise SetupError where a dialog is registered that could not be kept."""
        for dialog in self._dialogs(kept_or_not=True):
            parts = _parts(dialog)
            name = dialog.name or ", ".join(type(part).__name__ for part in dialog.entry_points)
            faults = {
                "is not kept: give it a name and persistent=True": not dialog.persistent,
                "is kept for each user: per_user=True": not dialog.per_user,
                "has a handler with block=False": any(part.block is False for part in parts),
                "has a conversation_timeout, and there is no job queue: leave it out": bool(
                    dialog.conversation_timeout
                ),
            }
            for fault in (fault for fault, there in faults.items() if there):
                raise SetupError(f"the dialog {name} {fault}")

    async def step(self, raw: Any, update: Update, work: Work, *, again: bool) -> None:
        """Do some work with an update where its user stands, and write where they stand then.

        Where the update has had its step nothing is done; that is noted of every update, since one
        that meant nothing in its time must not answer a question that was asked later. Where
        others have moved the dialogs meanwhile, which a bot without the lease may find, the work
        is done again.

        Args:
            raw: the update as Telegram wrote it.
            update: the same, parsed.
            work: what the handlers do with it; what it publishes has the id of the update.
            again: whether it is replayed.

        Raises:
            DialogMovedError: others move them all the time.
            UnstorableError: they stand where JSON cannot hold it.
        """
        dialogs = self._dialogs()
        if not dialogs or (user := sender_of(raw)) is None:
            await work()
            return
        mark = f"{update.update_id}:again" if again else f"{update.update_id}"
        person = update.effective_user
        own = user if person is not None and person.id == user else None
        for _ in range(ATTEMPTS):
            record = await self._kept.read(user, mark)
            if record is None:
                log.info("update has had its step", update_id=update.update_id)
                return
            try:
                self._put(dialogs, update, record, own)
                await work()
                self._take(dialogs, update, record, own)
            finally:
                self._forget(dialogs, update, own)
            if await self._kept.write(user, mark, record):
                return
        raise DialogMovedError(f"moved by others {ATTEMPTS} times")

    async def end(self, raw: dict[str, Any]) -> None:
        """Note that an update will have no step: it was refused, or is in the dead letters.

        When Telegram repeats it, it must not answer what was asked since; a replay does.
        """
        if self._dialogs():
            await self._kept.end(str(raw["update_id"]))

    @property
    def _kept(self) -> Store:
        """Return where they are kept, once the bot knows who it is."""
        self._store = self._store or Store(self._application.bot.id)
        return self._store

    def _dialogs(self, *, kept_or_not: bool = False) -> list[Dialog]:
        """Return each persistent dialog, or each, and those within it."""
        waiting: list[Any] = [
            handler
            for group in self._application.handlers.values()
            for handler in group
            if isinstance(handler, ConversationHandler)
        ]
        dialogs: list[Dialog] = []
        while waiting:
            handler = waiting.pop()
            if isinstance(handler, ConversationHandler):
                waiting += _parts(handler)
                if handler.persistent or kept_or_not:
                    dialogs.append(handler)
        return dialogs

    def _put(self, dialogs: list[Dialog], update: Update, record: Record, user: int | None) -> None:
        """Put what a record says where handlers look for it."""
        for dialog, key in _keys(dialogs, update):
            if (state := record.states.get((str(dialog.name), key))) is not None:
                _states_of(dialog)[key] = state
        if user is not None:
            self._application.user_data[user].update(record.data)

    def _take(
        self, dialogs: list[Dialog], update: Update, record: Record, user: int | None
    ) -> None:
        """Note in a record where the user stands now."""
        for dialog, key in _keys(dialogs, update):
            state = _states_of(dialog).get(key)
            if state is None:
                record.states.pop((str(dialog.name), key), None)
            else:
                record.states[str(dialog.name), key] = state
        if user is not None:
            record.data = dict(self._application.user_data[user])

    def _forget(self, dialogs: list[Dialog], update: Update, user: int | None) -> None:
        """Leave nothing of it in the process."""
        for dialog, key in _keys(dialogs, update):
            _states_of(dialog).pop(key, None)
        if user is not None:
            self._application.drop_user_data(user)


def _parts(dialog: Dialog) -> list[Any]:
    """Return every handler of a dialog."""
    states = (each for state in dialog.states.values() for each in state)
    return [*dialog.entry_points, *states, *dialog.fallbacks]


def _keys(dialogs: list[Dialog], update: Update) -> Iterator[tuple[Dialog, Key]]:
    """Yield each dialog that can have to do with an update, and the key of its conversation."""
    for dialog in dialogs:
        nowhere = dialog.per_chat and update.effective_chat is None
        nothing = dialog.per_message and update.callback_query is None
        if update.effective_user is None or nowhere or nothing:
            continue
        yield dialog, dialog._get_key(update)  # noqa: SLF001 — the library has no public way


def _states_of(dialog: Dialog) -> Any:
    """Return the states of a dialog's conversations, in which it looks and writes."""
    return dialog._conversations  # noqa: SLF001 — the library has no public way
