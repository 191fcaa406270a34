"""Specs, copied to where a test may change them."""

import shutil
from pathlib import Path

SPECS = Path(__file__).with_name("specs")
"""What Herald's specs once were; what a fork makes of those at the root is its own."""


def copy_specs(root: Path, copy: Path) -> Path:
    """Copy the specs of a repository, and nothing that was generated from them."""
    for spec in (*root.glob("shared/spec/*.yaml"), *root.glob("services/*/spec/*.yaml")):
        path = copy / spec.relative_to(root)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(spec, path)
    return copy
