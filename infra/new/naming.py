"""The project's name, wherever it stands in a file that a person writes.

Everything else that is named after the project is rendered from `services.yml`: database and its
user, containers, networks, volumes, images.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """Where the name stands: the first match of a pattern, whose group is the name."""

    path: str
    pattern: str


PLACES = (
    Place("services.yml", r"^project: (\w+)$"),
    Place("README.md", r"^# (\w+)$"),
    Place("AGENTS.md", r"^# Working on (\w+)$"),
    Place("shared/spec/events.yaml", r"^  title: Events of (\w+)$"),
    Place("shared/spec/models.yaml", r"^title: Models of (\w+)$"),
    Place("services/backend/src/backend/app.py", r'title="(\w+) backend"'),
    Place("deploy/inventories/group_data/all.py", r'^root = "/srv/(\w+)"$'),
)


def rename(root: Path, name: str) -> Iterator[str]:
    """Write the name into every place that is there; yield the paths of files that changed."""
    for place in PLACES:
        path = root / place.path
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        match = re.search(place.pattern, text, re.MULTILINE)
        if match is None or match[1] == name:
            continue
        path.write_text(text[: match.start(1)] + name + text[match.end(1) :], encoding="utf-8")
        yield place.path
