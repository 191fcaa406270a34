"""Services that a project does not want: out of `services.yml`, and out of the tree.

The simulator leaves the stack only: the demo and the tests stand on it.
"""

import re
import shutil
from collections.abc import Iterator, MutableMapping, MutableSequence
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

KEPT = frozenset({"telegram_sim"})
"""Services whose sources stay, since the demo and the tests stand on them."""
NONE = "none"
"""What a variable is given that held the address of a service that is gone."""


def leave_out(root: Path, names: frozenset[str]) -> Iterator[str]:
    """Take services out; yield what has changed or gone."""
    _rewrite(root / "services.yml", names)
    yield "services.yml"
    for name in sorted(names - KEPT):
        folder = root / "services" / name
        if folder.is_dir():
            shutil.rmtree(folder)
            yield f"services/{name}/"
            yield from _drop_rows(root, f"services/{name}")
        yield from _drop_package(root / "pyproject.toml", name)


def _rewrite(path: Path, names: frozenset[str]) -> None:
    """Write services.yml without the services, and without what then nobody asks for."""
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 4096
    yaml.preserve_quotes = True
    document = yaml.load(path)
    services: MutableSequence[MutableMapping[str, Any]] = document["services"]
    for index in reversed(range(len(services))):
        if services[index]["name"] in names:
            _without_comments(services[index])
            del services[index]
    variables = {
        variable.get("given_as", name) if isinstance(variable, MutableMapping) else name
        for service in services
        for name, variable in service.get("env", {}).items()
    }
    for service in services:
        _without_references(service, names)
        _keep(service.get("provides", {}), variables)
    asked = {name for service in services for name in _asked_for(service)}
    _keep(document.get("infrastructure", {}), asked)
    text = StringIO()
    yaml.dump(document, text)
    path.write_text(re.sub(r"(?<=[^\n]\n)services:", "\nservices:", text.getvalue()), "utf-8")


def _keep(mapping: MutableMapping[str, Any], names: set[str]) -> None:
    """Take every other key out of a mapping."""
    for name in [name for name in mapping if name not in names]:
        del mapping[name]


def _without_comments(node: Any) -> None:
    """Take the comments out of what goes: an alias elsewhere may stand for a part of it."""
    if isinstance(node, CommentedMap | CommentedSeq):
        node.ca.items.clear()
        for child in node.values() if isinstance(node, CommentedMap) else node:
            _without_comments(child)


def _without_references(service: MutableMapping[str, Any], names: frozenset[str]) -> None:
    """Take the names out of a service's dependencies and variables."""
    depends_on = service.get("depends_on", {})
    for name in [name for name in depends_on if name in names]:
        depends_on.pop(name) if isinstance(depends_on, MutableMapping) else depends_on.remove(name)
    for variable in service.get("env", {}).values():
        if isinstance(variable, MutableMapping) and _target(variable) in names:
            del variable["from"]
            variable.insert(0, "default", NONE)  # type: ignore[attr-defined]  # of ruamel's mapping


def _asked_for(service: MutableMapping[str, Any]) -> Iterator[str]:
    """Yield the infrastructure and services that a service depends on or has an address of."""
    yield from service.get("depends_on", ())
    for variable in service.get("env", {}).values():
        if isinstance(variable, MutableMapping):
            yield _target(variable)


def _target(variable: MutableMapping[str, Any]) -> str:
    """Return what a variable's `from` names; '' where it has none."""
    return str(variable.get("from", "")).partition(".")[0]


def _drop_rows(root: Path, folder: str) -> Iterator[str]:
    """Take the rows of tables that lead to a folder out of the documents."""
    row = re.compile(rf"^\|.*(?:\]\(|`){re.escape(folder)}[/`].*\n", re.MULTILINE)
    for path in sorted(root.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        shorter = row.sub("", text)
        if shorter != text:
            path.write_text(shorter, encoding="utf-8")
            yield path.name


def _drop_package(path: Path, name: str) -> Iterator[str]:
    """Take a package out of what mypy checks."""
    text = path.read_text(encoding="utf-8")
    shorter = re.sub(rf'(?<=["\w]), "{name}"|services/{name}/src:', "", text)
    if shorter != text:
        path.write_text(shorter, encoding="utf-8")
        yield path.name
