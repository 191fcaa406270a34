"""Names that come from elsewhere, a file, a server or a command line, and become paths here.

None of them can lead anywhere: each kind has one shape, of ASCII letters, digits and signs that
neither a path nor a shell reads anything into.
"""

import re

SHAPES = {
    "backup": r"[0-9]{8}T[0-9]{6}Z(-[0-9a-f]{8})?",
    "release": r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{1,40}",
    "moment": r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z",
    "file of a backup": r"redis\.rdb|postgres\.dump",
    "digest": r"[0-9a-f]{64}",
}


def fits(kind: str, text: object) -> bool:
    """Whether something is a text of just the shape of a kind of SHAPES, to its very end."""
    return isinstance(text, str) and re.fullmatch(SHAPES[kind], text) is not None


def facts_fit(facts: object) -> bool:
    """Whether something is what a backup says of itself: when, of which release, which files."""
    if not isinstance(facts, dict) or not isinstance(facts.get("files"), dict):
        return False
    files = facts["files"].items()
    return fits("moment", facts.get("at")) and all(
        fits("file of a backup", name) and fits("digest", digest) for name, digest in files
    )
