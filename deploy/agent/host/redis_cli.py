"""Redis in its container, asked with its own client as its operator."""

import json
from dataclasses import dataclass

from deploy.agent.host import docker
from deploy.agent.host.errors import AgentError
from deploy.agent.host.layout import Json
from deploy.agent.host.release import Release

# The password is in no argument and in no environment but the client's own.
CLIENT = (
    'REDISCLI_AUTH="$(cat "$1")"; export REDISCLI_AUTH; user="$2"; shift 2; '
    'exec redis-cli --user "$user" --no-auth-warning --json "$@"'
)


SENTINEL_PORT = 26379


@dataclass(frozen=True)
class Redis:
    """The Redis of a release.

    Attributes:
        container: The id of its container.
        operator: The user who may do everything.
        password: The file with that user's password, in the container.
        folder: Where its data is, in the container.
        user: Whose the data is, as uid:gid.
        host: Where it is asked; empty for the container itself.
    """

    container: str
    operator: str
    password: str
    folder: str
    user: str
    host: str = ""

    @staticmethod
    def of(release: Release, container: str = "") -> "Redis":
        """Return the Redis of a release, in a container or in the one that runs.

        Of copies it is the one that is written to, wherever that is, unless a container is given.

        Raises:
            AgentError: The release has none, it does not run, or nobody knows which is written to.
        """
        facts = release.facts.get("redis") or _before_it_was_told(release)
        where = container or running(release.project, facts["service"])
        host = "" if container else primary(release)
        words = (facts["operator"], facts["password"], facts["folder"], facts["user"])
        return Redis(where, *words, host)

    def ask(self, *words: str) -> object:
        """Send one command; return its answer.

        Raises:
            AgentError: Redis does not answer, or with an error: while it loads its data, for one.
        """
        answer = docker.run(*self._command(), *words)
        try:
            return json.loads(answer)
        except ValueError:
            raise AgentError(f"Redis says: {answer.strip()}") from None

    def ask_all(self, *lines: str) -> list[str]:
        """Send several commands over one connection; return the lines of their answers."""
        sent = "".join(f"{line}\n" for line in lines).encode()
        answers = docker.run(*self._command("-i"), stdin=sent)
        return [line for line in answers.splitlines() if line.strip()] or [""]

    def _command(self, *options: str) -> tuple[str, ...]:
        inside = ("docker", "exec", *options, self.container, "sh", "-c", CLIENT, "sh")
        where = ("-h", self.host) if self.host else ()
        return (*inside, self.password, self.operator, *where)


def primary(release: Release) -> str:
    """Return the address of the copy that is written to; empty where there are no copies.

    Raises:
        AgentError: This server's Sentinel does not say.
    """
    copies = release.facts.get("copies", {})
    if "redis" not in copies:
        return ""
    name = copies["redis"]["service"]
    answer = sentinel(release, copies["member"], "GET-MASTER-ADDR-BY-NAME", name)
    if not isinstance(answer, list) or not answer:
        raise AgentError(f"the Sentinel of this server names no primary of {name}")
    return str(answer[0])


def sentinel(release: Release, member: str, *words: str) -> object:
    """Return what a member's Sentinel answers; None where it does not.

    Anybody may ask who is written to. Without a member, this server's own is told, as the operator.
    """
    facts = release.facts["redis"]
    port = ("-p", str(SENTINEL_PORT))
    try:
        container = running(release.project, release.facts["copies"]["redis"]["beside"])
        if member:
            ask = ("docker", "exec", container, "timeout", "3", "redis-cli", "--json")
            answer = docker.run(*ask, "-h", member, *port, "SENTINEL", *words)
        else:
            inside = ("docker", "exec", container, "sh", "-c", CLIENT, "sh")
            login = (facts["password"], facts["operator"])
            answer = docker.run(*inside, *login, *port, "SENTINEL", *words)
        return json.loads(answer)
    except (AgentError, ValueError):
        return None


def as_object(facts: object) -> Json:
    """Return what Redis says of one thing: redis-cli gives a map, or a flat list before Redis 7."""
    if isinstance(facts, list):
        return dict(zip(facts[::2], facts[1::2], strict=True))
    return facts if isinstance(facts, dict) else {}


def _before_it_was_told(release: Release) -> Json:
    """Return what held for the releases that do not say it themselves."""
    services = release.services.items()
    name = next((service for service, facts in services if facts["data"] == "redis"), None)
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
    there = [container for container in docker.containers(project, service) if container.running]
    if not there:
        raise AgentError(f"{service} does not run")
    return max(there, key=lambda container: container.started).id
