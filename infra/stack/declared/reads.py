"""Which variables a service's sources read: the fields of its settings, and names in its code.

The sources are read, never imported. A field of the class `Settings` in settings.py is a variable,
and so is each that it has from a class of the runtime; elsewhere it is a name that is taken from
`os.environ` or `os.getenv`.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MODELS = {"BaseModel", "BaseSettings"}
ENVIRONMENT = {"environ", "getenv"}
VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")


@dataclass(frozen=True, slots=True, order=True)
class Read:
    """One variable and where it is read; `file` is relative to the repository."""

    name: str
    file: str
    line: int


def reads_of(repository: Path, service: str) -> tuple[Read, ...]:
    """Return the variables that a service's sources read, each once."""
    folder = repository / "services" / service / "src"
    reads: dict[str, Read] = {}
    settings = folder / service / "settings.py"
    for name, path, line in _fields(settings, "Settings", repository, folder):
        reads.setdefault(name, Read(name, path.relative_to(repository).as_posix(), line))
    for path in sorted(folder.rglob("*.py")):
        for name, line in _literals(path):
            reads.setdefault(name, Read(name, path.relative_to(repository).as_posix(), line))
    return tuple(sorted(reads.values()))


def _fields(path: Path, name: str, repository: Path, own: Path) -> list[tuple[str, Path, int]]:
    """Return the fields of a class and of those it derives from, where one is pydantic's."""
    tree = _parsed(path)
    for node in tree.body if tree else ():
        if isinstance(node, ast.ClassDef) and node.name == name:
            bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
            inherited = [field for base in bases for field in _fields(path, base, repository, own)]
            if not inherited and not MODELS & set(bases):
                return []
            return [*inherited, *((field, path, line) for field, line in _annotated(node))]
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    source = _source(node.module, repository, own)
                    return _fields(source, alias.name, repository, own)
    return []


def _source(module: str, repository: Path, own: Path) -> Path:
    """Return the file of a module of the service or of the runtime; elsewhere there is none."""
    root = repository / "shared/src" if module.partition(".")[0] == "shared" else own
    path = root / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _annotated(node: ast.ClassDef) -> Iterator[tuple[str, int]]:
    for field in node.body:
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            constant = "ClassVar" in ast.unparse(field.annotation)
            if not constant and not field.target.id.startswith("_"):
                yield field.target.id.upper(), field.lineno


def _literals(path: Path) -> Iterator[tuple[str, int]]:
    if not any(name.encode() in path.read_bytes() for name in ENVIRONMENT):
        return
    tree = _parsed(path)
    for node in ast.walk(tree) if tree else ():
        taken: list[ast.expr] = []
        if isinstance(node, ast.Call) and ENVIRONMENT & set(_names(node.func)):
            taken = node.args[:1]
        elif isinstance(node, ast.Subscript) and ENVIRONMENT & set(_names(node.value)):
            taken = [node.slice]
        for part in taken:
            if isinstance(part, ast.Constant) and VARIABLE.fullmatch(str(part.value)):
                yield str(part.value), part.lineno


def _names(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Attribute):
        return [*_names(node.value), node.attr]
    return [node.id] if isinstance(node, ast.Name) else []


def _parsed(path: Path) -> ast.Module | None:
    """Return a file's tree; None where there is no such file, or it is no Python."""
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
