"""The blocks of a guide: what its reader types, writes and sees.

sh      is typed, in the project's folder
text    is part of what the last `sh` block has printed, line by line; … stands for a part of a line
diff    changes the file that the line above names: a line with - goes, one with + comes, the
        others are there already
others  are the whole content of the file that the line above names
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^(`{3,})(\w*)\n(.*?)^\1$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"`([^`]+)`[^`\n]*:\n\n\Z")


class BlockError(AssertionError):
    """A block does not do what the guide says."""


@dataclass(frozen=True)
class Block:
    """One block, the file that it is about, and the line of the guide that it begins in."""

    language: str
    content: str
    file: str
    line: int


def blocks(guide: str) -> Iterator[Block]:
    """Yield the blocks in order."""
    for fence in FENCE.finditer(guide):
        before = guide[: fence.start()]
        named = FILE.search(before)
        yield Block(fence[2], fence[3], named[1] if named else "", before.count("\n") + 1)


def write(block: Block, project: Path) -> None:
    """Make a file as its block has it."""
    if not block.file:
        raise BlockError(f"line {block.line}: the line above the block names no file")
    path = project / block.file
    if path.exists():
        raise BlockError(f"line {block.line}: {block.file} is there already")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.content, encoding="utf-8")


def change(block: Block, project: Path) -> None:
    """Change a file as its block says; each part, set apart by an empty line, has one place."""
    path = project / block.file
    text = path.read_text(encoding="utf-8")
    for part in re.split(r"\n(?=@@)|\A(?=@@)", block.content):
        lines = [line for line in part.splitlines() if not line.startswith("@@")]
        if not lines:
            continue
        old = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("+"))
        new = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("-"))
        if not old.strip() or text.count(old) != 1:
            raise BlockError(f"line {block.line}: {text.count(old)} places in {block.file}:\n{old}")
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def missing(block: Block, printed: str) -> list[str]:
    """Return the lines of a block that are not in what was printed."""
    flat = " ".join(printed.split())
    return [
        line
        for line in block.content.splitlines()
        if line.strip()
        and not re.search(".*?".join(map(re.escape, " ".join(line.split()).split("…"))), flat)
    ]
