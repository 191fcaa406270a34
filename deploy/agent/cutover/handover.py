"""Services change hands, there and back."""

import time
from collections.abc import Sequence
from itertools import chain

from deploy.agent.cutover.journal import Switch
from deploy.agent.host import docker
from deploy.agent.host.audit import Audit
from deploy.agent.host.errors import AgentError
from deploy.agent.host.health import UnhealthyError, start, wait_until_healthy

LEAST = 5.0
"""Seconds that an old container has to become healthy, however long others have taken."""


def change_hands(project: str, switches: Sequence[Switch], audit: Audit) -> None:
    """Start the new containers of services and stop the old ones, in their order.

    Several services change hands together where none is healthy without the others.

    Raises:
        AgentError: The new ones are not healthy, or the engine failed.
    """
    new = {switch.service: made(project, switch) for switch in switches}
    began = time.monotonic()
    for switch in switches:
        # Not even an engine that starts anew may run both: they share their files.
        for old in switch.old if switch.handover == "replace" else ():
            docker.retire(old)
    stopped = time.monotonic()
    for container in chain(*new.values()):
        start(container.id)
    for switch in switches:
        for container in new[switch.service]:
            wait_until_healthy(container.id)
        healthy = time.monotonic()
        if switch.handover == "overlap":
            for old in switch.running:
                docker.stop(old)
        audit.note(
            f"switched {switch.service}",
            f"{switch.service}: healthy after {healthy - stopped:.1f} s",
            stop_seconds=round(stopped - began, 3),
            healthy_seconds=round(healthy - stopped, 3),
        )


def made(project: str, switch: Switch) -> list[docker.Container]:
    """Return the new containers of a service.

    Raises:
        AgentError: There are others than were to be made.
    """
    new = fresh(project, switch)
    if len(new) != switch.replicas:
        raise AgentError(
            f"{switch.service}: {len(new)} containers were made, not {switch.replicas}"
        )
    return new


def put_back(project: str, switches: Sequence[Switch], audit: Audit) -> list[str]:
    """Have the old containers of services run again, and none of the new ones.

    All are started before any is waited for, and none is waited for longer than the slowest one's
    own health check allows. One that is not healthy any more is left running, and said so: it was
    there before.

    Returns what did not work, a line a service; trying again may.
    """
    problems = []
    started: list[tuple[Switch, list[docker.Container]]] = []
    for switch in switches:
        try:
            started.append((switch, start_old(project, switch)))
        except AgentError as error:
            problems.append(f"{switch.service}: {error}")
    slowest = max((old.health_seconds for _, olds in started for old in olds), default=0.0)
    deadline = time.monotonic() + slowest
    for switch, olds in started:
        try:
            for old in olds:
                try:
                    wait_until_healthy(old.id, max(deadline - time.monotonic(), LEAST))
                except UnhealthyError as error:
                    audit.note(f"undo {switch.service}", f"{switch.service} is back, but {error}")
            for new in fresh(project, switch):
                docker.stop(new.id)
                docker.remove(new.id)
        except AgentError as error:
            problems.append(f"{switch.service}: {error}")
    return problems


def start_old(project: str, switch: Switch) -> list[docker.Container]:
    """Start the old containers of a service that ran; none of the new ones shares their files."""
    there = docker.containers(project, switch.service)
    new = [container for container in there if container.id not in switch.old]
    old = [container for container in there if container.id in switch.running]
    if switch.handover == "replace":
        for container in new:
            docker.retire(container.id)
    # What was not touched is left alone: on a full disk not even its policy can be written.
    for container in old:
        if container.restart != switch.restart:
            docker.allow_restart(container.id, switch.restart)
        if not container.running:
            docker.start(container.id)
    return old


def fresh(project: str, switch: Switch) -> list[docker.Container]:
    """Return a service's containers that were not there before the cut-over."""
    there = docker.containers(project, switch.service)
    return [container for container in there if container.id not in switch.old]
