"""The package's Lua scripts; each is one atomic step on the server."""

import re
from importlib.resources import files

PART = re.compile(r"^--\+ (\w+)\n", re.MULTILINE)
"""The line in a script that stands for another file."""


def load_script(name: str) -> str:
    """Return the source of `lua/<name>.lua`, with the parts that it shares with others."""
    return PART.sub(lambda part: _read(part[1]), _read(name))


def _read(name: str) -> str:
    return files("shared.streams").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
