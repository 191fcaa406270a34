"""The committed files are what services.yml says, and Compose takes them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from infra.stack import load_plan
from infra.stack.rendering import render
from tests.infra.stack import STACK

ROOT = Path(__file__).resolve().parents[2]
BASE = render(load_plan(STACK), ROOT).texts["infra/compose.base.yml"]
OVERLAYS = {
    "base+dev": ("infra/compose.base.yml", "infra/compose.dev.yml"),
    "prod": ("infra/compose.prod.yml",),
    "tests": ("infra/compose.tests.yml",),
}


MEMBER = {"MEMBER": "192.0.2.1"} | {f"MEMBER_{place}": f"192.0.2.{place}" for place in (1, 2, 3)}
"""What a server that is one of three is told; another file does not ask for it."""


def stack(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run the command as make does."""
    command = (sys.executable, "-m", "infra.stack", *arguments)
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def compose(*arguments: str, files: tuple[str, ...], profiles: str = "", cwd: Path = ROOT) -> str:
    """Run docker compose in an environment without settings; return its output."""
    names = [part for file in files for part in ("--file", file)]
    env = MEMBER | {
        "PATH": os.environ["PATH"],
        "HOME": os.environ["HOME"],
        "COMPOSE_PROFILES": profiles,
    }
    finished = subprocess.run(
        ["docker", "compose", "--project-directory", ".", *names, *arguments],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def has_compose() -> bool:
    """Say whether docker compose is installed; `config` needs no engine."""
    if shutil.which("docker") is None:
        return False
    return not subprocess.run(
        ["docker", "compose", "version"], capture_output=True, check=False
    ).returncode


needs_compose = pytest.mark.skipif(
    not has_compose() and not os.environ.get("CI"),
    reason="docker compose is missing; get it with: make docker-engine",
)


def test_the_committed_files_are_rendered_from_services_yml() -> None:
    """mode=check finds no drift in the repository."""
    finished = stack("sync", "--mode", "check")
    assert (finished.returncode, finished.stdout) == (0, ""), finished.stderr


@needs_compose
@pytest.mark.parametrize("files", OVERLAYS.values(), ids=OVERLAYS)
def test_compose_accepts_every_overlay(files: tuple[str, ...]) -> None:
    """`docker compose config -q` takes base+dev, prod and tests, without a .env."""
    compose("config", "--quiet", files=files)


@needs_compose
def test_the_tests_overlay_may_also_be_laid_over_base() -> None:
    """Merging the complete tests file onto base is no error either."""
    compose("config", "--quiet", files=("infra/compose.base.yml", "infra/compose.tests.yml"))


@pytest.mark.parametrize("name", ["base", "dev", "tests", "prod"])
def test_every_file_has_a_clean_bill_from_compose_lint(name: str) -> None:
    """compose-lint has no finding at any severity, file by file."""
    linter = Path(sys.executable).with_name("compose-lint")
    finished = subprocess.run(
        [linter, "check", "--format", "json", "--fail-on", "low", f"infra/compose.{name}.yml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert json.loads(finished.stdout)["findings"] == []


def test_base_opens_no_host_port_and_asks_for_no_profile() -> None:
    """What every overlay runs is neither published nor optional."""
    services = yaml.safe_load(BASE)["services"]
    assert {"redis", "postgres", "backend", "tg_bot"} <= set(services)
    assert "telegram_sim" not in services
    assert not any("ports" in service or "profiles" in service for service in services.values())


def test_the_bot_waits_for_a_healthy_redis_and_a_started_backend() -> None:
    """The waits of the bot are those of services.yml."""
    services = yaml.safe_load(BASE)["services"]
    assert services["tg_bot"]["depends_on"] == {
        "redis": {"condition": "service_healthy"},
        "backend": {"condition": "service_started"},
    }


def test_an_acknowledged_write_to_redis_is_on_disk() -> None:
    """Redis appends and syncs every write, drops nothing when full, and has a named volume."""
    for name in ("base", "tests", "prod"):
        redis = yaml.safe_load((ROOT / f"infra/compose.{name}.yml").read_text())["services"][
            "redis"
        ]
        command = " ".join(redis["command"])
        assert "--appendonly yes --appendfsync always" in command
        assert "--maxmemory-policy noeviction" in command
        assert redis["volumes"] == ["redis_data:/data"]


def test_the_simulator_never_reaches_prod() -> None:
    """Prod has no simulator and no way to be pointed at one but an explicit setting."""
    assert "telegram_sim" not in (ROOT / "infra/compose.prod.yml").read_text()


def test_prod_builds_nothing_and_starts_nothing_that_was_not_released() -> None:
    """Every image of prod is a variable whose default does not exist."""
    services = yaml.safe_load((ROOT / "infra/compose.prod.yml").read_text())["services"]
    for name, service in services.items():
        assert "build" not in service
        assert service["image"].startswith(f"${{{name.upper()}_IMAGE:-")
        assert service["image"].endswith(f"@sha256:{'0' * 64}}}")


def test_parallel_test_runs_do_not_collide() -> None:
    """In the tests every host port is a free one, and no container has a fixed name."""
    services = yaml.safe_load((ROOT / "infra/compose.tests.yml").read_text())["services"]
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert all(port.startswith("127.0.0.1::") for port in ports)
    assert not any("container_name" in service for service in services.values())


@needs_compose
@pytest.mark.parametrize("profiles", ["", "tg", "sim"])
def test_a_profile_decides_what_runs_in_dev(profiles: str) -> None:
    """With tg the bot runs, with sim the bot and the simulator, without one neither."""
    plan = load_plan(ROOT / "services.yml")
    listed = set(
        compose("config", "--services", files=OVERLAYS["base+dev"], profiles=profiles).split()
    )
    wanted = {service.name for service in plan.running("dev", profiles.split(","))}
    assert listed == wanted | {part.name for part in plan.infrastructure}


def test_the_schema_takes_our_own_declaration_and_refuses_a_misspelt_one() -> None:
    """An editor with the schema accepts services.yml and underlines what sync would refuse."""
    schema = json.loads((ROOT / "infra/schema/services.schema.json").read_text())
    validator = jsonschema_rs.validator_for(schema)
    declared = yaml.safe_load(STACK.read_text())
    validator.validate(declared)
    declared["services"][0]["depend_on"] = {}
    assert not validator.is_valid(declared)


def test_every_key_is_described_for_editors_and_people() -> None:
    """Each key of the format has a sentence in the schema and a row in the reference."""
    schema = json.loads((ROOT / "infra/schema/services.schema.json").read_text())
    reference = (ROOT / "infra/schema/services.md").read_text(encoding="utf-8")
    tables = [schema, *schema["definitions"].values()]
    tables += [
        choice for table in tables for choice in table.get("oneOf", ()) if "properties" in choice
    ]
    keys = {name: key for table in tables for name, key in table.get("properties", {}).items()}
    assert {"services", "depends_on", "opt_out", "persistence", "scheme"} <= set(keys)
    for name, key in keys.items():
        assert key["description"].endswith("."), name
        assert f"| `{name}` |" in reference
