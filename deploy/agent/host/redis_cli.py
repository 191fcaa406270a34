"""Redis in its container, asked with its own client as its operator."""

import json
from dataclasses import dataclass

from deploy.agent.host import docker
from deploy.agent.host.layout import AgentError, Json
from deploy.agent.host.release import Release

# The password is in no argument and in no environment but the client's own.
CLIENT = (
    'REDISCLI_AUTH="$(cat "$1")"; export REDISCLI_AUTH; user="$2"; shift 2; '
    'exec redis-cli --user "$user" --no-auth-warning --json "$@"'
)


@dataclass(frozen=True)
class Redis:
    """The Redis of a release.

    Attributes:
        container: The id of its container.
        operator: The user who may do everything.
        password: The file with that user's password, in the container.
        folder: Where its data is, in the container.
        user: Whose the data is, as uid:gid.
    """

    container: str
    operator: str
    password: str
    folder: str
    user: str

    @staticmethod
    def of(release: Release, container: str = "") -> "Redis":
        """Return the Redis of a release, in a container or in the one that runs.

        Raises:
            AgentError: The release has none, or it does not run.
        """
        facts = release.facts.get("redis") or _before_it_was_told(release)
        where = container or running(release.project, facts["service"])
        return Redis(where, facts["operator"], facts["password"], facts["folder"], facts["user"])

    def ask(self, *words: str) -> object:
        """Send one command; return its answer."""
        return json.loads(docker.run(*self._command(), *words))

    def ask_all(self, *lines: str) -> list[str]:
        """Send several commands over one connection; return the lines of their answers."""
        sent = "".join(f"{line}\n" for line in lines).encode()
        told = docker.run(*self._command("-i"), stdin=sent)
        return [line for line in told.splitlines() if line.strip()] or [""]

    def _command(self, *options: str) -> tuple[str, ...]:
        inside = ("docker", "exec", *options, self.container, "sh", "-c", CLIENT, "sh")
        return (*inside, self.password, self.operator)


def _before_it_was_told(release: Release) -> Json:
    """Return what held for the releases that do not say it themselves."""
    name = next((one for one, facts in release.services.items() if facts["data"] == "redis"), None)
    if name is None:
        raise AgentError("the release has no Redis")
    password = f"/run/secrets/{name.upper()}_OPERATOR_PASSWORD"
    made = {"operator": "operator", "password": password, "folder": "/data", "user": "999:999"}
    return {"service": name, **made}


def running(project: str, service: str) -> str:
    """Return the newest running container of a service.

    Raises:
        AgentError: None runs.
    """
    there = [one for one in docker.containers(project) if one.service == service and one.running]
    if not there:
        raise AgentError(f"{service} does not run")
    return max(there, key=lambda one: one.started).id
