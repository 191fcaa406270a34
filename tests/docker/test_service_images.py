"""Claims about the images of our services, as services/Dockerfile makes them."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.engine.report import ROOT
from infra.stack.declared.defaults import PYTHON_USER
from tests.docker.containers import HARDENED, Engine, unique

SERVICES = ("backend", "telegram_sim", "tg_bot")
SITE = "/opt/venv/lib/python3.13/site-packages"
# A first build fetches every dependency.
pytestmark = pytest.mark.timeout(900)

COMPLETE = """
import importlib.metadata as metadata
from packaging.requirements import Requirement
for distribution in metadata.distributions():
    for line in distribution.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            metadata.version(requirement.name)
print("complete")
"""
UNCOMPILED = """
import importlib.util, pathlib, sys
modules = pathlib.Path(sys.argv[1]).rglob("*.py")
compiled = importlib.util.cache_from_source
print([str(m) for m in modules if not pathlib.Path(compiled(str(m))).exists()])
"""


def build(context: Path, images: dict[str, str]) -> None:
    """Build services with Compose, as `make dev-start` does."""
    services = {
        service: {
            "image": image,
            "build": {
                "context": str(context),
                "dockerfile": "services/Dockerfile",
                "args": {"SERVICE": service},
            },
        }
        for service, image in images.items()
    }
    plan = json.dumps({"name": "herald-check", "services": services})
    command = ("docker", "compose", "--file", "-", "--progress", "plain", "build")
    result = subprocess.run(command, input=plan, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]


@pytest.fixture(scope="module")
def images() -> Iterator[dict[str, str]]:
    """Build all three images once."""
    if Engine().command("version").returncode:
        yield {}
        return
    names = {service: unique() for service in SERVICES}
    build(ROOT, names)
    yield names
    Engine().command("image", "rm", "--force", *names.values())


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    """Name each service in turn."""
    return str(request.param)


def test_it_starts_its_module_as_nobody_special(
    docker: Engine, images: dict[str, str], service: str
) -> None:
    """The shell gives way to Python, the user is a number without rights, output unbuffered."""
    settings = docker.image(images[service])
    assert settings["Cmd"] == ["sh", "-c", 'exec python -m "$SERVICE"']
    assert f"SERVICE={service}" in settings["Env"]
    assert settings["Entrypoint"] is None
    assert settings["User"] == PYTHON_USER
    assert "PYTHONUNBUFFERED=1" in settings["Env"]


def test_it_imports_hardened(docker: Engine, images: dict[str, str], service: str) -> None:
    """Read-only, without capabilities and network, every package is found where wheels go."""
    script = f"import {service}; print({service}.__file__)"
    options = (*HARDENED, "--network", "none")
    module = docker.once(images[service], *options, run=("python", "-c", script))
    assert module == f"{SITE}/{service}/__init__.py"


def test_nothing_is_missing(docker: Engine, images: dict[str, str], service: str) -> None:
    """Every requirement of every installed package is installed."""
    # The check itself needs a parser of requirements, which a service need not have.
    parser = Path(pytest.__file__).parents[1] / "packaging"
    mount = ("--volume", f"{parser}:/check/packaging:ro", "--env", "PYTHONPATH=/check")
    result = docker.once(images[service], *mount, run=("python", "-c", COMPLETE))
    assert result == "complete"


def test_it_holds_what_runs_and_no_more(
    docker: Engine, images: dict[str, str], service: str
) -> None:
    """No build backend, no pip, no sources, no caches, nothing of another service."""
    environment = docker.once(images[service], run=("ls", SITE, "/opt/venv/bin")).split()
    others = set(SERVICES) - {service}
    assert not others & set(environment)
    assert not {"hatchling", "pip", "trove_classifiers"} & set(environment)
    assert docker.once(images[service], run=("ls", "/opt")) == "venv"
    listing = docker.once(images[service], "--user", "0", run=("ls", "-A", "/root", "/home"))
    assert ".cache" not in listing


def test_bytecode_is_compiled(docker: Engine, images: dict[str, str], service: str) -> None:
    """A read-only container compiles nothing at its start."""
    run = ("python", "-c", UNCOMPILED, f"{SITE}/{service}")
    assert docker.once(images[service], run=run) == "[]"
    run = ("python", "-c", UNCOMPILED, f"{SITE}/pydantic")
    if service != "telegram_sim":
        assert docker.once(images[service], run=run) == "[]"


def test_a_change_in_the_code_is_one_small_layer(
    docker: Engine, images: dict[str, str], service: str, tmp_path: Path
) -> None:
    """Dependencies are not installed again: every layer but the last one is the same."""
    for folder in ("shared", "services"):
        ignored = shutil.ignore_patterns("__pycache__", "tests")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    shutil.copy(ROOT / ".dockerignore", tmp_path)
    source = tmp_path / "services" / service / "src" / service / "__init__.py"
    source.write_text(f'{source.read_text()}\nCHANGED = "by a test"\n')
    changed = unique()
    build(tmp_path, {service: changed})
    try:
        before, after = layers(docker, images[service]), layers(docker, changed)
    finally:
        docker.command("image", "rm", "--force", changed)
    assert after[:-1] == before[:-1]
    assert after[-1] != before[-1]


def layers(docker: Engine, image: str) -> list[str]:
    """Return the digests of an image's layers, the lowest first."""
    text = docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", image)
    digests: list[str] = json.loads(text)
    return digests


def test_the_simulator_can_keep_its_state(docker: Engine, images: dict[str, str]) -> None:
    """A new volume at /data belongs to the user that the simulator runs as."""
    mount = (*HARDENED, "--volume", f"{docker.volume()}:/data")
    docker.once(images["telegram_sim"], *mount, run=("touch", "/data/state"))


def test_nothing_unasked_for_is_in_the_context(docker: Engine, tmp_path: Path) -> None:
    """Secrets, tests and local state of a checkout never reach the engine."""
    shutil.copy(ROOT / ".dockerignore", tmp_path)
    kept = [
        "shared/pyproject.toml",
        "shared/src/shared/a.py",
        "services/x/pyproject.toml",
        "services/x/requirements.txt",
        "services/x/src/x/a.py",
    ]
    left = [
        ".env",
        ".git/config",
        ".venv/a",
        "README.md",
        "secrets/token",
        "shared/.env",
        "services/x/.env",
        "services/x/src/x/__pycache__/a.pyc",
        "services/x/tests/a.py",
    ]
    for name in (*kept, *left):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    dockerfile = tmp_path / "services/Dockerfile"
    dockerfile.write_text("FROM python:3.13-slim\nCOPY . /context\n")
    name = unique()
    build(tmp_path, {"x": name})
    try:
        context = docker.once(name, run=("find", "/context", "-type", "f")).split()
    finally:
        docker.command("image", "rm", "--force", name)
    assert sorted(context) == sorted(f"/context/{path}" for path in kept)
