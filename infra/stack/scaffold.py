"""Scaffold what a newly listed service lacks; a file that exists is never touched.

The files are rendered from infra/scaffold/ and formatted by ruff, so what is created passes lint,
types and tests as it is. The requirement file is locked like every other one.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.places.diagnostics import InputError
from infra.places.templates import templates
from infra.places.writing import write_file
from infra.stack.declared.defaults import TRACES
from infra.stack.declared.events import declared_events
from infra.stack.pages.service_pages import table, with_table
from infra.stack.plan import Plan, Service, Variable

TEMPLATES = Path(__file__).resolve().parents[1] / "scaffold"
EX_UNAVAILABLE = 69
URLS = {
    "redis": "RedisUrl",
    "postgresql": "DatabaseUrl",
    "postgresql+asyncpg": "DatabaseUrl",
    "http": "HttpUrl",
    "https": "HttpUrl",
}
"""Types of `shared.settings` by the scheme of an address."""
SHARED_TYPES = {"LogFormat", "LogLevel", "Port", *URLS.values()}
SECRET = "Annotated[SecretStr, Field(min_length=1)]"  # noqa: S105  a type, not a secret


class NotLockedError(InputError):
    """The requirements of a new service could not be resolved."""

    exit_code = EX_UNAVAILABLE


@dataclass(frozen=True, slots=True)
class SettingsField:
    """One field of a settings model."""

    name: str
    type: str
    default: str = ""


def create(plan: Plan, root: Path) -> list[str]:
    """Create what is missing of every service that is built; return the paths.

    Raises:
        NotLockedError: the package index could not be reached; the other files are there.
    """
    models = {event.address: event.model for event in declared_events(root) or ()}
    created: list[str] = []
    for service in plan.services:
        folder = root / "services" / service.name
        if service.built and not (folder / "pyproject.toml").exists():
            created += _create(plan, service, root, models)
    if created:
        _format([root / path for path in created if path.endswith(".py")], root)
    for service in plan.services:
        path = f"services/{service.name}/requirements.txt"
        if service.built and not (root / path).exists():
            _lock(service, root)
            created.append(path)
    return created


def _create(plan: Plan, service: Service, root: Path, models: dict[str, str]) -> list[str]:
    layout = templates(TEMPLATES, quoted=json.dumps)
    values = _values(service, models)
    created = []
    for target, template in _files(service, values).items():
        path = f"services/{service.name}/{target}"
        if (root / path).exists():
            continue
        text = layout(template, **values)
        if target == "AGENTS.md":
            text = with_table(text, table(plan, service))
        write_file(root / path, text)
        created.append(path)
    return created


def _files(service: Service, values: dict[str, Any]) -> dict[str, str]:
    """Return the templates of a service's files by their paths in its folder."""
    package = f"src/{service.name}"
    modules = ["__init__.py", "__main__.py", "settings.py", "py.typed", "process.py"]
    modules += ["app.py"] if values["http"] else []
    modules += ["handlers.py"] if values["subscribes"] else []
    modules += ["tables.py"] if values["sql"] else []
    modules += ["undo.py"] if values["sql"] and values["subscribes"] else []
    files = {
        "pyproject.toml": "pyproject.toml.jinja",
        "AGENTS.md": "AGENTS.md.jinja",
        **{f"{package}/{name}": f"{name}.jinja" for name in modules},
        f"tests/test_{service.name}.py": "test.py.jinja",
    }
    if values["sql"]:
        files |= {
            "alembic.ini": "alembic.ini.jinja",
            f"{package}/migrations/0001_entries.py": "revision.py.jinja",
        }
    return files


def _values(service: Service, models: dict[str, str]) -> dict[str, Any]:
    """Return what the templates are given."""
    http = service.type == "python-fastapi"
    health = service.health
    port = _variable(service, "health_port") or _variable(service, "port")
    # What the runtime reads by itself is no setting of the service.
    fields = [_field(variable) for variable in service.env if variable.name not in TRACES]
    types = " ".join(field.type for field in fields)
    events = [*service.publishes, *service.subscribes]
    redis = _address(service, "redis") if events else ""
    sql = _address(service, "postgresql")
    subscribes = [{"name": name, "model": models[name]} for name in service.subscribes]
    serves = bool(health and health.path) and not http
    return {
        "name": service.name,
        "description": service.description or f"{service.name}, a service of this stack.",
        "requirement": _requirement(http=http, sql=bool(sql)),
        "http": http,
        "events": events,
        "publishes": [{"name": name} for name in service.publishes],
        "subscribes": subscribes,
        "models": sorted({models[name] for name in service.subscribes}),
        "redis": redis,
        "sql": sql,
        "fields": fields,
        "typing": ["Annotated"] if "Annotated" in types else [],
        "shared": sorted({field.type for field in fields if field.type in SHARED_TYPES}),
        "pydantic": [
            name
            for name in ("BaseModel", "ConfigDict", "Field", "SecretStr")
            if name in {"BaseModel", "ConfigDict"} or name in types
        ],
        "required": next((field.name.upper() for field in fields if not field.default), ""),
        "serves_health": serves,
        "health_port": f"settings.{port.lower()}" if port else str(health.port if health else 0),
        "uses_settings": http or bool(redis) or bool(sql) or (serves and bool(port)),
    }


def _field(variable: Variable) -> SettingsField:
    name = variable.name.lower()
    if variable.name == "LOG_LEVEL":
        return SettingsField(name, "LogLevel", json.dumps(variable.value or "INFO"))
    if variable.name == "LOG_FORMAT":
        return SettingsField(name, "LogFormat", '"console"')
    if variable.secret:
        return SettingsField(name, SECRET)
    reference = variable.reference
    if reference and reference.attribute in {"port", "health_port"}:
        return SettingsField(name, "Port")
    default = "" if variable.value is None else json.dumps(variable.value, ensure_ascii=False)
    return SettingsField(name, URLS.get(reference.scheme, "str") if reference else "str", default)


def _address(service: Service, scheme: str) -> str:
    """Return the setting that holds an address of such a scheme, or ''."""
    for variable in service.env:
        if variable.reference and variable.reference.scheme.partition("+")[0] == scheme:
            return variable.name.lower()
    return ""


def _variable(service: Service, attribute: str) -> str:
    """Return the service's variable that holds such a property of its own, or ''."""
    for variable in service.env:
        reference = variable.reference
        if reference and (reference.target, reference.attribute) == (service.name, attribute):
            return variable.name
    return ""


def _requirement(*, http: bool, sql: bool) -> str:
    """Return what a service requires: the runtime, with the extras that it stands on."""
    extras = (("http", http), ("metrics", True), ("sql", sql), ("traces", True))
    return f"shared[{','.join(name for name, needed in extras if needed)}]"


def _format(paths: list[Path], root: Path) -> None:
    files = [str(path) for path in paths]
    for command in (("check", "--quiet", "--fix"), ("format", "--quiet")):
        subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--", *files], cwd=root, check=False
        )


def _lock(service: Service, root: Path) -> None:
    command = [sys.executable, "-m", "infra.dev.lock", "--service", service.name]
    if subprocess.run(command, cwd=root, check=False).returncode:
        raise NotLockedError(
            f"services/{service.name}/requirements.txt could not be locked; "
            "with a package index in reach run: make pin"
        )
