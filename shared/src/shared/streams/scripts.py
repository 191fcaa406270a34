"""The package's Lua scripts; each is one atomic step on the server."""

from importlib.resources import files


def load_script(name: str) -> str:
    """Return the source of `lua/<name>.lua`."""
    return files("shared.streams").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
