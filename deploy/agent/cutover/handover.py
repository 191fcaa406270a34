"""One service changes hands, there and back."""

import time

from deploy.agent.cutover.journal import Switch
from deploy.agent.host import docker
from deploy.agent.host.audit import Audit
from deploy.agent.host.health import UnhealthyError, start, wait_until_healthy
from deploy.agent.host.layout import AgentError


def change_hands(project: str, switch: Switch, audit: Audit) -> None:
    """Start the new containers of a service and stop the old ones, in its order.

    Raises:
        AgentError: The new ones are not healthy, or the engine failed.
    """
    new = fresh(project, switch)
    if len(new) != switch.replicas:
        raise AgentError(
            f"{switch.service}: {len(new)} containers were made, not {switch.replicas}"
        )
    began = time.monotonic()
    if switch.handover == "replace":
        # Not even an engine that starts anew may run both: they share their files.
        for old in switch.old:
            docker.retire(old)
    stopped = time.monotonic()
    for one in new:
        start(project, one.id)
    for one in new:
        wait_until_healthy(project, one.id)
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


def put_back(project: str, switch: Switch, audit: Audit) -> None:
    """Have the old containers of a service run again, and none of the new ones.

    One that is not healthy any more is left running, and said so: it was there before.

    Raises:
        AgentError: It did not work; trying again may.
    """
    there = [one for one in docker.containers(project) if one.service == switch.service]
    new = [one for one in there if one.id not in switch.old]
    old = [one for one in there if one.id in switch.running]
    if switch.handover == "replace":
        for one in new:
            docker.retire(one.id)
    # What was not touched is left alone: on a full disk not even its policy can be written.
    for one in old:
        if one.restart != switch.restart:
            docker.allow_restart(one.id, switch.restart)
        if not one.running:
            docker.start(one.id)
    for one in old:
        try:
            wait_until_healthy(project, one.id)
        except UnhealthyError as error:
            audit.note(f"undo {switch.service}", f"{switch.service} is back, but {error}")
    for one in new:
        docker.stop(one.id)
        docker.remove(one.id)


def fresh(project: str, switch: Switch) -> list[docker.Container]:
    """Return a service's containers that were not there before the cut-over."""
    there = docker.containers(project)
    return [one for one in there if one.service == switch.service and one.id not in switch.old]
