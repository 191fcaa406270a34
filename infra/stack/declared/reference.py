"""The reference of services.yml for people, made from the same shapes as reader and schema."""

from typing import Any

from infra.stack.declared.declaration import (
    PUBLISHED,
    SERVICE,
    STACK,
    Health,
    Infrastructure,
    Provided,
    Publish,
    Resources,
    Variable,
)
from infra.stack.declared.records import Record
from infra.stack.declared.words import (
    CONDITIONS,
    INFRASTRUCTURE_TYPES,
    OPT_OUTS,
    OVERLAYS,
    PERSISTENCE,
    SERVICE_TYPES,
)

REFERENCE = "infra/schema/services.md"
RECORDS: tuple[tuple[str, Record[Any]], ...] = (
    ("The file", STACK),
    ("An infrastructure", Record(Infrastructure, "an infrastructure")),
    ("A service", SERVICE),
    ("A variable (`env`)", Record(Variable, "a variable", "value")),
    ("A provided value (`provides`)", Record(Provided, "a provided value", "value")),
    ("A health check (`health`)", Record(Health, "health", "http")),
    ("Host ports (`publish`)", Record(Publish, "publish")),
    ("One host port", PUBLISHED),
    ("Limits (`resources`)", Record(Resources, "resources")),
)
WORDS = (
    ("Types of services", SERVICE_TYPES),
    ("Types of infrastructure", INFRASTRUCTURE_TYPES),
    ("Overlays", OVERLAYS),
    ("Conditions of `depends_on`", CONDITIONS),
    ("Persistence of Redis", PERSISTENCE),
    ("Protections that `opt_out` turns off", OPT_OUTS),
)
HEAD = """\
# services.yml, key by key

Rendered by `make sync-services` from infra/stack/declared/declaration.py. Three whole examples are
in infra/examples/; editors complete and explain the keys through
infra/schema/services.schema.json.
"""


def render_reference() -> str:
    """Return the reference as Markdown, the same for the same declaration."""
    parts = [HEAD, *(_record(title, record) for title, record in RECORDS)]
    parts += [_words(title, words) for title, words in WORDS]
    return "\n".join(parts)


def _record(title: str, record: Record[Any]) -> str:
    lines = [f"## {title}", "", _text(record.kind.__doc__), "", "| key | form | meaning |"]
    lines.append("| --- | --- | --- |")
    for name, known in record.items.items():
        shape, shown = known.metadata["shape"], known.metadata["shown"]
        note = " Needed." if known.metadata["required"] else ""
        if shown is not None:
            listed = ", ".join(shown) if isinstance(shown, tuple) else shown
            note = f" Default: `{str(listed).lower() if listed is False else listed}`."
        meaning = f"{known.metadata['description']}{note}"
        lines.append(f"| `{name}` | {_cell(shape.what)} | {_cell(meaning)} |")
    return "\n".join([*lines, ""])


def _words(title: str, words: dict[str, str]) -> str:
    return "\n".join(
        [f"## {title}", "", *(f"- `{word}`: {why}" for word, why in words.items()), ""]
    )


def _text(docstring: str | None) -> str:
    return "\n".join(line.strip() for line in (docstring or "").strip().splitlines())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
