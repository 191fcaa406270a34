"""Waiting for a container to be healthy, without waiting for the engine's own next check."""

import subprocess
import time

from deploy.agent.host import docker
from deploy.agent.host.layout import AgentError

INTERVAL = 0.15
STABLE_FOR = 2.0
PROBE_SECONDS = 10


class UnhealthyError(AgentError):
    """A container ended, or was not healthy in time; `report` has its last words."""

    def __init__(self, message: str, report: str) -> None:
        super().__init__(message)
        self.report = report


def wait_until_healthy(project: str, container: str, seconds: float = 0.0) -> float:
    """Run the container's own health check until it passes; return how long that took.

    One without a check has to run for two seconds.

    Args:
        project: The Compose project.
        container: Its id.
        seconds: How long it may take; 0 for as long as its health check itself allows.

    Raises:
        UnhealthyError: It ended, restarted, or the time is over.
    """
    began = time.monotonic()
    told = "its health check has not been run"
    while True:
        one = next((c for c in docker.containers(project) if c.id == container), None)
        passed = time.monotonic() - began
        if one is None:
            raise UnhealthyError("the container is gone", "")
        if not one.running or one.restarts:
            # Once it was started again its exit code is gone.
            code = f", exit code {one.exit_code}" if one.exit_code else ""
            raise UnhealthyError(f"{one.service} has ended by itself{code}", report(one, ""))
        if not one.health_test or one.health_test[0] == "NONE":
            if passed >= STABLE_FOR:
                return passed
        else:
            told = probe(one)
            if not told:
                return time.monotonic() - began
        if passed > (seconds or one.health_seconds):
            raise UnhealthyError(
                f"{one.service} is not healthy after {passed:.0f} s", report(one, told)
            )
        time.sleep(INTERVAL)


def start(project: str, container: str) -> None:
    """Start a container.

    Raises:
        UnhealthyError: The engine cannot.
    """
    try:
        docker.start(container)
    except AgentError as error:
        one = next((c for c in docker.containers(project) if c.id == container), None)
        if one is None:
            raise
        raise UnhealthyError(f"{one.service} cannot be started: {error}", report(one, "")) from None


def probe(container: docker.Container) -> str:
    """Run a container's health check once; return what it says against it, nothing if healthy."""
    kind, *words = container.health_test
    command = ["sh", "-c", *words] if kind == "CMD-SHELL" else words
    try:
        result = subprocess.run(
            ("docker", "exec", container.id, *command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {PROBE_SECONDS} s"
    if result.returncode == 0:
        return ""
    return result.stdout.decode(errors="replace").strip() or f"exit code {result.returncode}"


def report(container: docker.Container, told: str) -> str:
    """Return what a person needs to see of a failing container."""
    lines = [f"--- {container.service}: {container.name}, {container.status}"]
    if told:
        lines += ["--- its health check says:", told]
    return "\n".join([*lines, "--- its last lines:", docker.last_lines(container.id)])
