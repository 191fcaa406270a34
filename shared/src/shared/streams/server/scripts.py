"""The package's Lua scripts; each is one atomic step on the server."""

import re
from importlib.resources import files

SHEBANG = "#!lua\n"
PART = re.compile(r"^--\+ (\w+)\n", re.MULTILINE)
"""The line in a script that stands for another file."""


def load_script(name: str, *, allow_oom: bool = False) -> str:
    """Return the source of `lua/<name>.lua`, with the parts that it shares with others.

    Args:
        name: which script.
        allow_oom: let it write to a server whose memory is full, as some scripts always do.
    """
    source = PART.sub(lambda part: _read(part[1]), _read(name))
    return source.replace(SHEBANG, "#!lua flags=allow-oom\n", 1) if allow_oom else source


def _read(name: str) -> str:
    return files("shared.streams.server").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
