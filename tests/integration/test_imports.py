"""Importing any module works anywhere: no variable is needed, no connection is opened."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
IMPORT_ALL = """
import importlib, pkgutil, socket, sys

def refuse(*arguments, **options):
    raise AssertionError("a module opened a connection when it was imported")

socket.socket.connect = refuse
socket.socket.bind = refuse
package = importlib.import_module(sys.argv[1])
names = [m.name for m in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
skipped = ("__main__", ".env", ".versions.")
for name in names:
    if not name.endswith(skipped[:2]) and skipped[2] not in name:
        importlib.import_module(name)
print(len(names))
"""

SIMULATOR = (  # its rooms, from the ground up: each imports only what lies below it
    *(("api",), ("clock", "state"), ("formatting", "updates"), ("world",), ("methods",)),
    *(("control", "page"), ("server",)),
)

FLOORS = 5
Below = dict[str, set[str]]
BELOW_DEPLOYS = ("deploy.agent", "deploy.errors", "deploy.inventory", "deploy.server", "infra")


@pytest.mark.parametrize("package", ["shared", "tg_bot", "backend", "telegram_sim"])
def test_every_module_imports_with_an_empty_environment(package: str) -> None:
    """A module that needs a variable or a server at import cannot be tested or reused."""
    command = (sys.executable, "-c", IMPORT_ALL, package)
    done = subprocess.run(command, env={}, cwd="/", check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 5


WITHOUT_EXTRAS = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[2:]:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
"""


def test_the_runtime_imports_without_its_extras() -> None:
    """A service that is no bot needs none of python-telegram-bot, and so on for each extra."""
    extras = {
        "telegram": ("telegram", "aiohttp", "aiolimiter"),
        "http": ("uvicorn",),  # and the console stands on it
        "inbox": ("sqlalchemy", "alembic", "aiosqlite", "asyncpg"),
        "tracing": ("opentelemetry",),
    }
    for part, missing in extras.items():
        script = WITHOUT_EXTRAS + IMPORT_ALL.replace(
            "for name in names:",
            f"for name in [n for n in names if '.{part}' not in n and '.console' not in n]:",
        )
        command = (sys.executable, "-c", script, "shared", *missing)
        done = subprocess.run(command, env={}, cwd="/", check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


HEAVY = ("pyinfra", "paramiko", "gevent", "jinja2", "yaml", "alembic")


def test_help_of_deploys_imports_nothing_of_what_a_deploy_takes() -> None:
    """It is there at once, and so is the answer to a mistake."""
    show = "import sys; from deploy.make import cli; cli.usage(); print(*sys.modules)"
    done = subprocess.run(
        (sys.executable, "-c", show), cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert set(HEAVY) & set(done.stdout.split()) == set()


def test_what_undoes_an_event_imports_nothing_that_migrates() -> None:
    """Each deploy calls it, and waits for it."""
    show = "import sys; import backend.undo; print(*sys.modules)"
    done = subprocess.run(
        (sys.executable, "-c", show), cwd="/", check=True, capture_output=True, text=True
    )
    assert {"alembic", "fastapi"} & set(done.stdout.split()) == set()


@pytest.mark.parametrize("folder", ["deploy", "infra"])
def test_a_folder_has_at_most_five_floors(folder: str) -> None:
    """One whose files import each other over more of them wants rooms."""
    for inner in {path.parent for path in (ROOT / folder).rglob("*.py")}:
        package = inner.relative_to(ROOT).as_posix().replace("/", ".")
        below = {
            f"{package}.{path.stem}": {
                ".".join(name.split(".")[: package.count(".") + 2]) for name in _imported(path)
            }
            for path in inner.glob("*.py")
            if path.name != "__init__.py"
        }

        def floor(module: str, above: tuple[str, ...] = (), below: Below = below) -> int:
            assert module not in above, f"{' > '.join(above)} > {module}"
            lower = (below[module] & set(below)) - {module}
            return 1 + max((floor(name, (*above, module)) for name in lower), default=0)

        assert max(map(floor, below), default=0) <= FLOORS, inner


def test_arrows_point_the_right_way() -> None:
    """Packages and rooms import only what the design allows: these names and what is in them."""
    allowed = {
        "shared/src/shared": {"shared"},
        "services/tg_bot/src/tg_bot": {"tg_bot", "shared"},
        "services/backend/src/backend": {"backend", "shared"},
        "services/telegram_sim/src/telegram_sim": {"telegram_sim"},
        "infra": {"infra", "shared.keys"},  # Redis users are given rights to these very keys
        "infra/places": {"infra.places"},
        "infra/codegen": {"infra.codegen", "infra.places", "infra.usage"},
        "infra/codegen/specs": {"infra.codegen.specs", "infra.places"},
        "infra/stack": {"infra.stack", "infra.places", "infra.usage", "shared.keys"},
        "infra/stack/plan": set(),
        "infra/stack/declared": {"infra.stack.declared", "infra.stack.plan", "infra.places"},
        "infra/stack/compose": {
            "infra.stack.compose",
            "infra.stack.plan",
            "infra.places",
            "shared.keys",
        },
        "infra/stack/pages": {
            "infra.stack.pages",
            "infra.stack.compose",
            "infra.stack.plan",
            "infra.places",
        },
        "demo": {"demo", "infra", "shared.keys", "telegram_sim"},  # it reads the dead letters' keys
        "deploy": {"deploy", "infra.places", "infra.stack", "shared.generated", "shared.keys"},
        "deploy/ssh": {"deploy.ssh", "deploy.errors", "deploy.inventory", "infra.stack"},
        "deploy/release": {"deploy.release", "deploy.ssh", *BELOW_DEPLOYS},
        "deploy/host": {
            "deploy.host",
            "deploy.outcome",
            "deploy.release",
            "deploy.ssh",
            *BELOW_DEPLOYS,
        },
        "deploy/group": {
            "deploy.group",
            "deploy.host",
            "deploy.outcome",
            "deploy.release",
            "deploy.ssh",
            *BELOW_DEPLOYS,
        },
        "deploy/agent": {"deploy.agent", "shared.keys"},  # it goes to the server with it
        "deploy/agent/host": {"deploy.agent.host"},
        "deploy/agent/copies": {"deploy.agent.copies", "deploy.agent.host"},
        "deploy/agent/cutover": {
            "deploy.agent.cutover",
            "deploy.agent.copies",
            "deploy.agent.host",
            "shared.keys",
        },
        "deploy/agent/data": {
            "deploy.agent.data",
            "deploy.agent.copies",
            "deploy.agent.host",
            "shared.keys",
        },
    }
    simulator, below = "services/telegram_sim/src/telegram_sim", {"settings", "logs"}
    allowed[f"{simulator}/client"] = {"telegram_sim.client", "telegram_sim.settings"}
    for floor in SIMULATOR:
        for room in floor:
            may = {f"telegram_sim.{name}" for name in (room, *below)}
            allowed[f"{simulator}/{room}"] = may
        below |= set(floor)
    ours = {"shared", "tg_bot", "backend", "telegram_sim", "infra", "deploy", "demo", "tests"}
    wrong = []
    for folder, may in allowed.items():
        paths = list((ROOT / folder).rglob("*.py")) or [ROOT / f"{folder}.py"]
        for path in paths:
            for name in _imported(path):
                parts = name.split(".")
                inside = {".".join(parts[: n + 1]) for n in range(len(parts))}
                if parts[0] in ours and not inside & may:
                    wrong.append(f"{path.relative_to(ROOT)}: {name}")
    assert wrong == []


def _imported(path: Path) -> Iterator[str]:
    """Return every name that a module imports, at its top or inside: `infra.stack.load_plan`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
