"""Render the examples: each folder of infra/examples/ is a small repository of its own.

Run `python -m infra.stack.examples` after a change to a template or a default; a test holds what is
committed to what is rendered now.
"""

from pathlib import Path

from infra.places.writing import write
from infra.stack.declared.reference import REFERENCE
from infra.stack.declared.schema import SCHEMA
from infra.stack.loading import load_plan
from infra.stack.rendering import render

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def examples() -> list[Path]:
    """Return the folders of the examples."""
    return sorted(path.parent for path in EXAMPLES.glob("*/services.yml"))


def rendered(folder: Path) -> dict[str, str]:
    """Return what an example renders to, by path in its folder, but what is the same for all."""
    texts = render(load_plan(folder / "services.yml"), folder).texts
    return {path: text for path, text in texts.items() if path not in {SCHEMA, REFERENCE}}


def main() -> None:
    """Write what differs."""
    for folder in examples():
        for path in write(folder, rendered(folder)):
            print(f"herald: wrote {folder.name}/{path}")


if __name__ == "__main__":
    main()
