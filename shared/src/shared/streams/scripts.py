"""The package's Lua scripts; each is one atomic step on the server."""

from importlib.resources import files

SHEBANG = "#!lua\n"


def load_script(name: str, *, allow_oom: bool = False) -> str:
    """Return the source of `lua/<name>.lua`.

    Args:
        name: which script.
        allow_oom: let it write to a server whose memory is full, as some scripts always do.
    """
    source = files("shared.streams").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
    return source.replace(SHEBANG, "#!lua flags=allow-oom\n", 1) if allow_oom else source
