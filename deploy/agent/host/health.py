"""Waiting for a container to be healthy, without waiting for the engine's own next check."""

import subprocess
import time

from deploy.agent.host import docker
from deploy.agent.host.errors import AgentError

INTERVAL = 0.15
STABLE_FOR = 2.0
PROBE_SECONDS = 10


class UnhealthyError(AgentError):
    """A container ended, or was not healthy in time; `report` has its last words."""

    def __init__(self, message: str, report: str) -> None:
        super().__init__(message)
        self.report = report


def wait_until_healthy(container: str, seconds: float = 0.0) -> float:
    """Run the container's own health check until it passes; return how long that took.

    One without a check has to run for two seconds.

    Args:
        container: Its id.
        seconds: How long it may take; 0 for as long as its health check itself allows.

    Raises:
        UnhealthyError: It ended, restarted, or the time is over.
    """
    began = time.monotonic()
    complaint = "its health check has not been run"
    while True:
        seen = docker.container(container)
        passed = time.monotonic() - began
        if seen is None:
            raise UnhealthyError("the container is gone", "")
        if not seen.running or seen.restarts:
            # Once it was started again its exit code is gone.
            code = f", exit code {seen.exit_code}" if seen.exit_code else ""
            raise UnhealthyError(f"{seen.service} has ended by itself{code}", report(seen, ""))
        if not seen.health_test or seen.health_test[0] == "NONE":
            if passed >= STABLE_FOR:
                return passed
        else:
            complaint = probe(seen)
            if not complaint:
                return time.monotonic() - began
        if passed > (seconds or seen.health_seconds):
            text = f"{seen.service} is not healthy after {passed:.0f} s"
            raise UnhealthyError(text, report(seen, complaint))
        time.sleep(INTERVAL)


def start(container: str) -> None:
    """Start a container.

    Raises:
        UnhealthyError: The engine cannot.
    """
    try:
        docker.start(container)
    except AgentError as error:
        seen = docker.container(container)
        if seen is None:
            raise
        text = f"{seen.service} cannot be started: {error}"
        raise UnhealthyError(text, report(seen, "")) from None


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


def report(container: docker.Container, complaint: str) -> str:
    """Return what a person needs to see of a failing container."""
    lines = [f"--- {container.service}: {container.name}, {container.status}"]
    if complaint:
        lines += ["--- its health check says:", complaint]
    return "\n".join([*lines, "--- its last lines:", docker.last_lines(container.id)])
