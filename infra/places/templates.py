"""Templates: Jinja that lays out finished values and refuses a name that nobody gave it.

minijinja has Jinja's language without its 0.1 s of imports: sync runs on every edit.
"""

from collections.abc import Callable
from pathlib import Path

from minijinja import Environment


def templates(folder: Path, **filters: Callable[..., object]) -> Callable[..., str]:
    """Return a function that renders a template of the folder by its name, with values by name.

    Args:
        folder: where the templates are.
        filters: what they may do with a value, by the name that they call it.
    """
    environment = Environment(
        loader=lambda name: (folder / name).read_text(encoding="utf-8"),
        filters=filters,
        undefined_behavior="strict",
        auto_escape_callback=lambda _: False,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.render_template
