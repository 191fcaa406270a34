"""Hold what the templates wrote to the plan, and to the Compose specification.

Templates are text, and text can go wrong in ways that only a reader notices. `document` says in
plain data what a Compose file has to contain; the file that a template wrote must parse to it.
"""

import importlib.util
import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from infra.places.diagnostics import InputError
from infra.places.source import TAG, YAML_1_1
from infra.stack.compose.file import ComposeFile, Container, Network

SPECIFICATION = "builtin_schemas/vendor/compose-spec.json"
LOGGING = {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}

SCALARS: dict[str, Callable[[str], Any]] = {
    f"{TAG}str": str,
    f"{TAG}int": int,
    f"{TAG}bool": {"true": True, "false": False}.__getitem__,
}

Document = dict[str, Any]


class RenderingError(InputError):
    """A template's output does not say what the plan says; the template is at fault."""

    exit_code = os.EX_SOFTWARE


def verify(path: str, text: str, file: ComposeFile) -> None:
    """Hold a rendered Compose file to its contents and to the Compose specification.

    Raises:
        RenderingError: a template is wrong; the message has the path inside the document.
    """
    try:
        found = _plain(yaml.compose(text, Loader=YAML_1_1))
    except (yaml.YAMLError, ValueError, KeyError) as error:
        raise RenderingError(f"{path}: the template wrote no YAML: {error}") from error
    difference = _difference(document(file), found, "")
    if difference:
        raise RenderingError(f"{path}: the template does not write the plan: {difference}")
    _specification(path, found)


def document(file: ComposeFile) -> Document:
    """Return what the Compose file says, as YAML parses it."""
    services = {found.name: _addition(found) for found in file.additions}
    services |= {found.name: _container(found) for found in file.containers}
    return {"name": file.project, "x-logging": LOGGING, "services": services} | _present(
        networks={found.name: _network(found) for found in file.networks},
        volumes={name: {} for name in file.volumes},
        secrets={name: {"file": path} for name, path in file.secrets},
    )


def _container(found: Container) -> Document:
    health = found.health
    return {
        **_addition(found),
        "tmpfs": list(found.tmpfs),
        "init": found.init,
        "restart": found.restart,
        "stop_grace_period": found.stop_grace_period,
        "logging": LOGGING,
        **({} if found.networks else {"network_mode": "none"}),
        **_present(
            image=found.image,
            command=list(found.command),
            environment=dict(found.environment),
            depends_on={one.name: {"condition": one.condition} for one in found.depends_on},
            healthcheck=health
            and {
                "test": list(found.healthcheck),
                "interval": health.interval,
                "timeout": health.timeout,
                "retries": health.retries,
                "start_period": health.start_period,
            },
            volumes=[f"{volume}:{folder}" for volume, folder in found.volumes],
            secrets=list(found.secrets),
            user=found.user,
            shm_size=found.shm_size,
        ),
    }


def _addition(found: Container) -> Document:
    build = found.build
    limits = {
        "cpus": found.resources.cpus,
        "memory": found.resources.memory,
        "pids": found.resources.pids,
    }
    replicas = {"replicas": found.replicas} if found.replicas > 1 else {}
    return {"deploy": {**replicas, "resources": {"limits": limits}}} | _present(
        build=build
        and {"context": build.context, "dockerfile": build.dockerfile}
        | _present(target=build.target, args={"SERVICE": build.service} if build.service else {}),
        profiles=list(found.profiles),
        ports=list(found.ports),
        networks=list(found.networks),
        read_only=found.read_only,
        cap_drop=["ALL"] if found.cap_drop else [],
        cap_add=list(found.cap_add),
        security_opt=list(found.security_opt),
    )


def _network(found: Network) -> Document:
    if found.internal:
        return {"internal": True}
    options = {"com.docker.network.bridge.enable_icc": "false"}
    if found.inward:
        options["com.docker.network.bridge.enable_ip_masquerade"] = "false"
    return {"driver_opts": options}


def _present(**values: Any) -> Document:
    return {name: value for name, value in values.items() if value}


def _difference(wanted: Any, found: Any, at: str) -> str:
    """Return where two documents differ first, or ''."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for name in [*wanted, *(extra for extra in found if extra not in wanted)]:
            there = f"{at}.{name}".removeprefix(".")
            if name not in found or name not in wanted:
                return f"{there} is {'missing' if name in wanted else 'too much'}"
            difference = _difference(wanted[name], found[name], there)
            if difference:
                return difference
        return ""
    same = type(wanted) is type(found) and wanted == found
    return "" if same else f"{at} is {found!r} and should be {wanted!r}"


def _plain(node: yaml.Node | None) -> Any:
    """Return a node as plain data; several times as fast as PyYAML's own constructor.

    Raises:
        ValueError: a key stands twice, or a scalar has a form that templates never write.
    """
    if isinstance(node, yaml.MappingNode):
        found = {key.value: _plain(value) for key, value in node.value}
        if len(found) < len(node.value):
            raise ValueError(
                f"a key stands twice in the mapping on line {node.start_mark.line + 1}"
            )
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    if not isinstance(node, yaml.ScalarNode):
        return None
    read = SCALARS.get(node.tag)
    if read is None:
        raise ValueError(
            f"'{node.value}' on line {node.start_mark.line + 1} has the tag {node.tag}"
        )
    return read(node.value)


@cache
def _validator() -> Any:
    """Return the validator of the specification.

    It is another one than the specs', which follows failed choices to what their author meant and
    would take seconds here for hundreds of services.
    """
    import jsonschema_rs  # noqa: PLC0415  only what is about to be written is validated

    package = importlib.util.find_spec("check_jsonschema")
    if package is None or package.origin is None:
        raise RenderingError(
            "check-jsonschema, which carries the Compose specification, is missing"
        )
    schema = json.loads((Path(package.origin).parent / SPECIFICATION).read_text(encoding="utf-8"))
    return jsonschema_rs.validator_for(schema)


def _specification(path: str, found: Document) -> None:
    for error in _validator().iter_errors(found):
        place = ".".join(str(part) for part in error.instance_path)
        raise RenderingError(f"{path}: {place} is not what Compose takes: {error.message}")
