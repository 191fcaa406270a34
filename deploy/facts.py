"""What is true of a server: pyinfra's facts, each asked of an agent that leaves nothing behind.

pyinfra deploy/inventories/staging.py fact deploy.facts.HostStatus
"""

import base64
import json
from typing import Any

from pyinfra.api.command import StringCommand
from pyinfra.api.facts import FactBase
from pyinfra.api.hiddenvalue import HiddenValue

from deploy import operations
from deploy.outcome import here, link_of
from deploy.ssh import commands
from deploy.ssh.bundle import agent


def asked(*words: str) -> StringCommand:
    """Return what runs the agent once on this host; its program would fill every log."""
    host = link_of(here()).host
    program = base64.b64encode(agent()).decode()
    before, _, after = commands.agent_once(host, "echo @ | base64 -d", words).partition("@")
    hidden = HiddenValue(program, "AGENT")  # type: ignore[no-untyped-call] # pyinfra's
    return StringCommand(before, hidden, after)


class HostStatus(FactBase[dict[str, Any]]):
    """What runs: current and previous release, containers, lock, backups, free bytes.

    `as_released` names what is not as it was released; empty where all is.
    """

    def command(self) -> StringCommand:
        """Return what looks."""
        return asked("status", "--project", operations.project())

    default = dict

    def process(self, output: list[str]) -> dict[str, Any]:
        """Return the agent's answer."""
        status: dict[str, Any] = json.loads("\n".join(output))
        return status


class Drift(FactBase[list[str]]):
    """What differs from the current release, a line each."""

    def command(self) -> StringCommand:
        """Return what compares; that there are differences is no failure."""
        return StringCommand("{", asked("drift"), "; } || [ $? = 2 ]")

    default = list

    def process(self, output: list[str]) -> list[str]:
        """Return the lines."""
        return output


class Audit(FactBase[list[dict[str, Any]]]):
    """The newest phases of everything that was done, oldest first."""

    def command(self, lines: int = 500) -> str:
        """Return what reads them; there are none on a host that never had a release."""
        host = link_of(here()).host
        path = f"{host.root}/state/audit.jsonl"
        return commands.as_root(host, f"test ! -e {path} || tail -n {lines} {path}")

    default = list

    def process(self, output: list[str]) -> list[dict[str, Any]]:
        """Return the lines, read."""
        return [json.loads(line) for line in output]
