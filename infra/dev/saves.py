"""Which services a save asks to be started again: for the demo and for `make dev-start`."""

from collections.abc import Iterable
from pathlib import Path

RUNTIME = ("shared", "src")
"""What every service stands on."""


def source_folders(root: Path) -> list[Path]:
    """Return the folders in which a save may ask for a start."""
    return [folder for folder in (root / "services", root.joinpath(*RUNTIME)) if folder.is_dir()]


def changed_services(saved: Iterable[Path], names: Iterable[str]) -> list[str]:
    """Return the services to start again: those whose sources were saved; all, for the runtime's.

    Args:
        saved: what was saved, below the folder of services.yml.
        names: the services that there are.
    """
    parts = {path.parts for path in saved}
    return [
        name
        for name in names
        if any(part[:2] == RUNTIME or part[:3] == ("services", name, "src") for part in parts)
    ]
