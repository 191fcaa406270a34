"""Write rendered files atomically, or say how the repository differs from them."""

import os
import tempfile
from difflib import unified_diff
from pathlib import Path

MODE = 0o644


def changed(root: Path, rendered: dict[str, str]) -> dict[str, str | None]:
    """Return the path and present text (None: no such file) of every file that differs."""
    present = {path: _text(root / path) for path in rendered}
    return {path: text for path, text in present.items() if text != rendered[path]}


def diff(root: Path, rendered: dict[str, str]) -> str:
    """Return a unified diff from the repository to the rendered files; '' where they agree."""
    return "".join(
        line
        for path, text in changed(root, rendered).items()
        for line in unified_diff(
            (text or "").splitlines(keepends=True),
            rendered[path].splitlines(keepends=True),
            fromfile=path if text is not None else "/dev/null",
            tofile=f"{path} (from services.yml)",
        )
    )


def write(root: Path, rendered: dict[str, str]) -> list[str]:
    """Write the files that differ, each in one step, mode 0644; return their paths."""
    paths = list(changed(root, rendered))
    for path in paths:
        write_file(root / path, rendered[path])
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
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
