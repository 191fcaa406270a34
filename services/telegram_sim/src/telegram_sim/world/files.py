"""Files that bots and people have sent: each has an id for every bot that may use it."""

import io
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256

import imagesize

from telegram_sim.api.serial import Json
from telegram_sim.state import State

MOST_KEPT = 1000
LARGEST_SIDES = 10_000
FLATTEST = 20
"""A photo may be so many pixels wide and high in all, and so many times as long as it is wide."""
SUFFIXES = {b"\x89PNG": "png", b"GIF8": "gif", b"RIFF": "webp"}


class FileError(Exception):
    """What was sent is no such file; its text is Telegram's name for the reason."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of one bot.

    Attributes:
        id: What the bot names it by.
        bot: The bot's number.
        path: Where the bot downloads it from.
        content: What is in it.
        width: Pixels from left to right.
        height: Pixels from top to bottom.
    """

    id: str
    bot: int
    path: str
    content: bytes
    width: int
    height: int

    @property
    def kind(self) -> str:
        """Its media type."""
        return f"image/{self.path.rpartition('.')[2].replace('jpg', 'jpeg')}"

    def file(self) -> Json:
        """Return the File object of the Bot API."""
        return {**self._identified(), "file_path": self.path}

    def photo_size(self) -> Json:
        """Return the PhotoSize object of the Bot API."""
        return {**self._identified(), "width": self.width, "height": self.height}

    def _identified(self) -> Json:
        unique = urlsafe_b64encode(sha256(self.content).digest()[:12]).decode()
        return {"file_id": self.id, "file_unique_id": unique, "file_size": len(self.content)}


class Files:
    """The files that are still known, oldest first; the same content is one file of a bot."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._files: dict[str, StoredFile] = {}
        for row in state.rows("SELECT id, bot, path, content, width, height FROM files"):
            file = StoredFile(*row)
            self._files[file.id] = file

    def get(self, file_id: str, bot: int | None = None) -> StoredFile | None:
        """Return a file; None where it is not known, or is another bot's than the one named."""
        file = self._files.get(file_id)
        return file if file is not None and bot in {None, file.bot} else None

    def at(self, bot: int, path: str) -> StoredFile | None:
        """Return the file that a bot downloads from a path."""
        files = self._files.values()
        return next((file for file in files if (file.bot, file.path) == (bot, path)), None)

    def add_photo(self, bot: int, content: bytes) -> StoredFile:
        """Keep a photo, and return it.

        Raises:
            FileError: It is no picture that Telegram would take.
        """
        if not content:
            raise FileError("file must be non-empty")
        width, height = imagesize.get(io.BytesIO(content))
        if width <= 0 or height <= 0:
            raise FileError("IMAGE_PROCESS_FAILED")
        if width + height > LARGEST_SIDES or max(width, height) > FLATTEST * min(width, height):
            raise FileError("PHOTO_INVALID_DIMENSIONS")
        digest = sha256(b"%d %s" % (bot, content)).digest()
        file_id = f"AgAC{urlsafe_b64encode(digest).decode().rstrip('=')}"
        known = self._files.get(file_id)
        if known is not None:
            return known
        path = f"photos/{digest.hex()[:16]}.{SUFFIXES.get(content[:4], 'jpg')}"
        return self._keep(StoredFile(file_id, bot, path, content, width, height))

    def _keep(self, file: StoredFile) -> StoredFile:
        self._files[file.id] = file
        if len(self._files) > MOST_KEPT:
            oldest = next(iter(self._files))
            del self._files[oldest]
            self._state.execute("DELETE FROM files WHERE id = ?", oldest)
        self._state.execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)",
            *(file.id, file.bot, file.path, file.content, file.width, file.height),
        )
        return file
