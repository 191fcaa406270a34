"""One JSON line for each phase, on failures too; people see a shorter one."""

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


def utc(seconds: float | None = None) -> str:
    """Return a moment as ISO 8601 in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


@dataclass
class Audit:
    """Writes what happens to the audit file, and to standard output for whoever watches."""

    path: Path
    who: str
    release: str = ""

    def note(self, phase: str, text: str = "", **facts: object) -> None:
        """Record a phase; `text` is what a person reads."""
        line = {"at": utc(), "who": self.who, "release": self.release, "phase": phase, **facts}
        if text:
            line["text"] = text
        # A full disk must not keep a cut-over from being undone.
        with suppress(OSError), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        if text:
            self.detail(text)

    def detail(self, text: str) -> None:
        """Tell whoever watches; nothing is recorded."""
        with suppress(OSError):
            print(text, flush=True)
