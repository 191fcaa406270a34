"""What a service's sources do with events: each use of a publish, refuse or subscribe function.

The sources are read, never imported. A use is any mention of the function, called or handed on;
what `broker` is asked to do beside a stream (a probe, a lease) needs the publisher's rights too.
What a part of the runtime does, such as `shared.telegram`, each service does that imports it.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Verb = Literal["publishes", "subscribes"]

MODULE = "shared.generated.events"
RUNTIME = "shared/src/shared"
FUNCTIONS: dict[str, Verb] = {
    "publish_": "publishes",
    "publisher_": "publishes",
    "refuse_": "publishes",
    "subscribe_": "subscribes",
}
METHODS: dict[str, Verb] = {
    "publish_event": "publishes",
    "publish_events": "publishes",
    "publisher_of": "publishes",
    "refuse_event": "publishes",
    "probe": "publishes",
    "wait_until_writable": "publishes",
    "lease": "publishes",
    "subscribe_event": "subscribes",
}


@dataclass(frozen=True, slots=True, order=True)
class Use:
    """One use of an event in a source file; `file` is relative to the repository.

    `group` is the consumer group of a subscription, where it is written there.
    """

    file: str
    line: int
    verb: Verb
    event: str
    group: str = ""


def uses_of(repository: Path, events: Iterable[str]) -> dict[str, tuple[Use, ...]]:
    """Return, by service, what its sources do with the events that there are, in file order.

    A service without sources has no entry. Files that are no Python are left to the linters.
    """
    known = frozenset(events)
    parts = {
        f"shared.{folder.name}": list(_in_folder(folder, repository, known))
        for folder in sorted((repository / RUNTIME).glob("*/"))
        if f"shared.{folder.name}" not in MODULE
    }
    return {
        folder.parent.name: (
            *_in_folder(folder, repository, known),
            *(use for part in _parts(folder, parts) for use in parts[part]),
        )
        for folder in repository.glob("services/*/src")
    }


def _in_folder(folder: Path, repository: Path, events: frozenset[str]) -> Iterator[Use]:
    """Yield the uses in the sources of a folder, in file order."""
    for path in sorted(folder.rglob("*.py")):
        yield from _in_file(path, path.relative_to(repository).as_posix(), events)


def _parts(folder: Path, parts: Iterable[str]) -> list[str]:
    """Return the parts of the runtime that a service's sources import."""
    sources = [path.read_bytes() for path in folder.rglob("*.py")]
    return [part for part in parts if any(f"from {part} import".encode() in it for it in sources)]


def _in_file(path: Path, name: str, events: frozenset[str]) -> list[Use]:
    source = path.read_bytes()
    if b"shared.generated" not in source:
        return []
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return []
    imported, texts = dict(_imported(tree)), dict(_texts(tree))
    uses = {
        Use(name, node.lineno, verb, event, _group(node, texts))
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute | ast.Call)
        for verb, event in _meant(node, imported)
        if event in events
    }
    return sorted(uses)


def _texts(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the names that a file gives to texts, at its top."""
    for node in tree.body:
        text = node.value if isinstance(node, ast.Assign) else None
        if isinstance(node, ast.Assign) and isinstance(text, ast.Constant):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            yield from ((name, str(text.value)) for name in names)


def _group(node: ast.AST, texts: dict[str, str]) -> str:
    """Return the group that a call names, as a text or by the name of one."""
    for keyword in node.keywords if isinstance(node, ast.Call) else ():
        if keyword.arg == "group" and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
        if keyword.arg == "group" and isinstance(keyword.value, ast.Name):
            return texts.get(keyword.value.id, "")
    return ""


def _imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield the names that a file gives to what it imports from the generated events."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == MODULE:
            yield from ((alias.asname or alias.name, alias.name) for alias in node.names)


def _meant(
    node: ast.Name | ast.Attribute | ast.Call, imported: dict[str, str]
) -> Iterator[tuple[Verb, str]]:
    """Yield what a node does, and the name of the event that it does it with."""
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in METHODS and node.args:
            stream = node.args[0]
            name = stream.attr if isinstance(stream, ast.Attribute) else ""
            if isinstance(stream, ast.Name):
                name = imported.get(stream.id, "")
            yield METHODS[node.func.attr], name
        elif isinstance(node.func, ast.Name | ast.Attribute):
            yield from _meant(node.func, imported)
        return
    name = node.attr if isinstance(node, ast.Attribute) else imported.get(node.id, "")
    for prefix, verb in FUNCTIONS.items():
        if name.startswith(prefix):
            yield verb, name.removeprefix(prefix)
