"""Which part may import which: services stand on the runtime's public faces and on nothing else."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVICES = sorted(path.name for path in (ROOT / "services").iterdir() if (path / "src").is_dir())
FACES = {
    *("shared.generated.events", "shared.generated.schemas"),
    *(
        "shared.console",
        "shared.http",
        "shared.inbox",
        "shared.process",
        "shared.streams",
        "shared.telegram",
    ),
    *("shared.logs", "shared.metrics", "shared.settings"),
}
"""What a service may import of the runtime: these modules' own names."""
OTHERS = {"backend", "demo", "deploy", "infra", "services", "tests", *SERVICES}
"""Parts that are not of the runtime; a service may import itself of them."""
ALONE = {"telegram_sim"}
"""Services that import nothing of ours: any Bot API client works against the simulator."""


def imported(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield each module that the sources below a folder import, with the place of the import."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            place = f"{path.relative_to(folder)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import):
                yield from ((alias.name, place) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    name = f"{node.module}.{alias.name}"
                    face = name in FACES or is_module(name)  # `from shared import logs`
                    yield name if face else node.module, place


def is_module(name: str) -> bool:
    """Say whether the runtime has a module of that name, and not a thing in one."""
    path = ROOT / "shared/src" / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


def faults(name: str, folder: Path) -> list[str]:
    """Return the imports of a service that may not be, each with its place."""
    allowed = FACES if name not in ALONE else set()
    return [
        f"{place} imports {module}"
        for module, place in imported(folder)
        if (module.partition(".")[0] == "shared" and module not in allowed)
        or module.partition(".")[0] in OTHERS - {name}
    ]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_imports_public_faces_and_itself(name: str) -> None:
    """Whatever lies deeper in the runtime may change; no service knows another."""
    assert faults(name, ROOT / "services" / name / "src") == []


def test_the_runtime_imports_no_service() -> None:
    """It stands below all of them."""
    below = imported(ROOT / "shared/src")
    assert [place for module, place in below if module.partition(".")[0] in OTHERS] == []


@pytest.mark.parametrize(
    "line",
    [
        "from shared.streams.retry import Backoff",
        "import shared.streams.hand",
        "from shared import keys",
        "from shared.streams import lease",
        "from shared.streams import consume",
        "from shared.telegram import updates, Outbox",
        "from shared.process.backoff import Backoff",
        "import tg_bot",
        "from infra.stack import load_plan",
    ],
)
def test_what_is_deeper_is_refused(line: str, tmp_path: Path) -> None:
    """Also in a service that is new."""
    (tmp_path / "module.py").write_text(f"def late() -> None:\n    {line}\n")
    (fault,) = faults("newcomer", tmp_path)
    assert fault.startswith("module.py:2 imports ")


@pytest.mark.parametrize(
    "line",
    [
        "from shared import logs",
        "from shared.streams import Lease, EventStream",
        "import newcomer.tables",
    ],
)
def test_faces_are_allowed(line: str, tmp_path: Path) -> None:
    """And a service's own modules."""
    (tmp_path / "module.py").write_text(f"{line}\n")
    assert faults("newcomer", tmp_path) == []
