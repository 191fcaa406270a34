"""Write rendered files atomically, or say how the repository differs from them."""

import os
import tempfile
from collections.abc import Mapping
from difflib import unified_diff
from pathlib import Path

MODE = 0o644
NOWHERE = "/dev/null"

Rendered = Mapping[str, str | None]
"""The text of each file by its path in the repository; None where there is to be no file."""


def changed(root: Path, rendered: Rendered) -> dict[str, str | None]:
    """Return the path and present text (None: no such file) of every file that differs."""
    present = {path: _text(root / path) for path in rendered}
    return {path: text for path, text in present.items() if text != rendered[path]}


def diff(
    root: Path, rendered: Rendered, before: str = "{}", after: str = "{} (from services.yml)"
) -> str:
    """Return a unified diff from the repository to the rendered files; '' where they agree.

    Args:
        root: the repository.
        rendered: what its files are to be.
        before: what the diff calls a file as it is now.
        after: what it calls a file as rendered.
    """
    return "".join(
        line
        for path, text in changed(root, rendered).items()
        for line in unified_diff(
            (text or "").splitlines(keepends=True),
            (rendered[path] or "").splitlines(keepends=True),
            fromfile=NOWHERE if text is None else before.format(path),
            tofile=NOWHERE if rendered[path] is None else after.format(path),
        )
    )


def write(root: Path, rendered: Rendered) -> list[str]:
    """Write, or remove, the files that differ, each in one step, mode 0644; return their paths."""
    paths = list(changed(root, rendered))
    for path in paths:
        text = rendered[path]
        if text is None:
            (root / path).unlink()
        else:
            write_file(root / path, text)
    return paths


def write_file(
    path: Path, text: str, mode: int = MODE, owner: tuple[int, int] | None = None
) -> None:
    """Replace a file in one step: a reader sees the old text or the new one, never a part.

    Until it has its mode and owner (uid, gid), nobody but us can read it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            if owner is not None:
                os.fchown(stream.fileno(), *owner)
            os.fchmod(stream.fileno(), mode)
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
