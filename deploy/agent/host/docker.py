"""The host's Docker engine: its containers and images."""

import json
import os
import subprocess
import time
from dataclasses import dataclass
from typing import Any

from deploy.agent.host.errors import AgentError

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
HASH_LABEL = "com.docker.compose.config-hash"
ONE_OFF_LABEL = "com.docker.compose.oneoff"
DAEMON = "Error response from daemon: "
GONE = "No such container"
NANOSECONDS = 1e9
ENGINE_WITHIN = 120.0


def run(*command: str, stdin: bytes | None = None, timeout: float = 300) -> str:
    """Run a command and return what it printed.

    Raises:
        AgentError: It failed, or took longer; the message has its last words.
    """
    environment = {"PATH": PATH, "HOME": os.environ.get("HOME", "/root"), "LC_ALL": "C.UTF-8"}
    try:
        result = subprocess.run(  # noqa: UP022 - one stream is text for people, the other is data
            command,
            input=stdin if stdin is not None else b"",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError:
        raise AgentError(f"{command[0]} is not installed on this host; run provision") from None
    except subprocess.TimeoutExpired:
        raise AgentError(f"{' '.join(command[:3])} took longer than {timeout:.0f} s") from None
    if result.returncode:
        raise AgentError(f"{' '.join(command[:3])} failed: {reason(result.stderr)}")
    return result.stdout.decode(errors="replace")


def reason(output: bytes) -> str:
    """Return the line that says why a command failed: the engine's own, else the last one."""
    lines = output.decode(errors="replace").strip().splitlines() or ["it said nothing"]
    return next((line.partition(DAEMON)[2] for line in lines if DAEMON in line), lines[-1])


@dataclass(frozen=True)
class Container:
    """One container of the project, as the engine describes it.

    Attributes:
        health_seconds: How long its health check may fail before it counts as unhealthy.
        restart: Its restart policy, as `docker update --restart` takes it.
    """

    id: str
    name: str
    service: str
    config_hash: str
    image: str
    status: str
    exit_code: int
    restarts: int
    started: str
    health: str
    health_test: tuple[str, ...]
    health_seconds: float
    restart: str

    @property
    def running(self) -> bool:
        """Whether it runs and is not between two restarts."""
        return self.status == "running"


def containers(project: str, service: str = "") -> list[Container]:
    """Return the containers of a project, or of one service of it, in any state, by name."""
    listing = run(
        "docker", "ps", "-aq", "--no-trunc", "--filter", f"label={PROJECT_LABEL}={project}"
    )
    ids = listing.split()
    made = [_container(raw) for raw in _inspected(ids) if _belongs(raw)] if ids else []
    chosen = [container for container in made if service in {"", container.service}]
    return sorted(chosen, key=lambda container: container.name)


def container(number: str) -> Container | None:
    """Return the container with that id; None where it is gone."""
    try:
        (raw,) = json.loads(run("docker", "container", "inspect", number))
    except AgentError as error:
        if GONE in str(error):
            return None
        raise
    return _container(raw)


def _inspected(ids: list[str]) -> list[dict[str, Any]]:
    """Return what the engine says of containers; one that went away meanwhile is left out."""
    try:
        facts: list[dict[str, Any]] = json.loads(run("docker", "container", "inspect", *ids))
    except AgentError:
        if len(ids) == 1:
            return []
        return [raw for number in ids for raw in _inspected([number])]
    return facts


def _belongs(raw: dict[str, Any]) -> bool:
    return str(raw["Config"]["Labels"].get(ONE_OFF_LABEL, "")).lower() != "true"


def _container(raw: dict[str, Any]) -> Container:
    labels, state = raw["Config"]["Labels"], raw["State"]
    check = raw["Config"].get("Healthcheck") or {}
    return Container(
        id=raw["Id"],
        name=raw["Name"].lstrip("/"),
        service=labels.get(SERVICE_LABEL, ""),
        config_hash=labels.get(HASH_LABEL, ""),
        image=raw["Image"],
        status=state["Status"],
        exit_code=state["ExitCode"],
        restarts=raw.get("RestartCount", 0),
        started=state["StartedAt"],
        health=(state.get("Health") or {}).get("Status", ""),
        health_test=tuple(check.get("Test") or ()),
        health_seconds=_health_seconds(check),
        restart=_restart(raw["HostConfig"]["RestartPolicy"]),
    )


def _health_seconds(check: dict[str, Any]) -> float:
    """Return the start period and the retries after it; docs.docker.com has the defaults."""
    each = (check.get("Interval") or 30e9) + (check.get("Timeout") or 30e9)
    total = (check.get("StartPeriod") or 0) + (check.get("Retries") or 3) * each
    return float(total / NANOSECONDS)


def _restart(policy: dict[str, Any]) -> str:
    most = policy.get("MaximumRetryCount")
    return f"{policy['Name'] or 'no'}:{most}" if most else str(policy["Name"] or "no")


def images() -> list[str]:
    """Return the ids of all images, named or not."""
    return run("docker", "images", "-aq", "--no-trunc").split()


def wait_for_engine() -> None:
    """Wait until the engine answers: it may be restarting.

    Raises:
        AgentError: It does not.
    """
    deadline = time.monotonic() + ENGINE_WITHIN
    while True:
        try:
            run("docker", "version", "--format", "{{.Server.Version}}", timeout=10)
        except AgentError as error:
            if time.monotonic() > deadline:
                raise AgentError(f"{error}; start Docker and run the same command again") from None
            time.sleep(0.5)
        else:
            return


def start(container: str) -> None:
    """Start a container; one that runs stays as it is."""
    run("docker", "start", container)


def stop(container: str) -> None:
    """Stop a container, within its own grace period."""
    run("docker", "stop", container)


def retire(container: str) -> None:
    """Stop a container for good: an engine that starts does not start it again."""
    allow_restart(container, "no")
    stop(container)


def allow_restart(container: str, policy: str) -> None:
    """Give a container another restart policy."""
    run("docker", "update", "--restart", policy, container)


def remove(container: str) -> None:
    """Remove a container, running or not, with the volumes that have no name."""
    run("docker", "rm", "--force", "--volumes", container)


def last_lines(container: str, count: int = 15) -> str:
    """Return the last lines that a container wrote."""
    result = subprocess.run(
        ("docker", "logs", "--tail", str(count), container),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return result.stdout.decode(errors="replace").rstrip()
