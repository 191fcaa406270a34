"""One of three servers' copy of a store, with what decides which copy is written to.

Each server runs the same file; MEMBER is its own private address, MEMBER_1 to MEMBER_3 are those of
all, and FOUNDER is set while three of them are brought up for the first time. The copies talk over
the private network at their own ports, so they share the server's network: nothing translates the
addresses that they tell each other.

    redis     replicated, with a Sentinel beside it; three Sentinels choose the primary
    postgres  under Patroni, with an etcd beside it; etcd says who leads
"""

from typing import Any

from infra.stack.compose.acl import OPERATOR
from infra.stack.compose.addresses import SENTINEL, SENTINEL_PORT, SERVERS
from infra.stack.compose.secrets import MOUNT, copies_password, password_of
from infra.stack.plan import COMPANIONS, COPIES, Infrastructure, Resources

Document = dict[str, Any]

COMMENTS = {
    "redis": "Chooses the primary among the copies, with the two others.",
    "postgres": "Says which copy leads, with the two others.",
}
COMPANION_RESOURCES = {
    "redis": Resources(cpus="0.5", memory="64M", pids=32),
    "postgres": Resources(cpus="0.5", memory="256M", pids=64),
}
COMMANDS = {
    "redis": ("start-redis-copy", SENTINEL),
    "postgres": ("start-postgres-copy", "etcd"),
}
ETCD_HEALTH = ["CMD", "etcdctl", "--endpoints", "http://127.0.0.1:2379", "endpoint", "health"]
ADDRESSES = [
    f"${{MEMBER_{number}:?set MEMBER_{number}, a private address}}"
    for number in range(1, COPIES + 1)
]


def companion_of(part: Infrastructure) -> str:
    """Return the name of the container that runs beside a copy."""
    return f"{part.name}_{COMPANIONS[part.type]}"


def extra_hosts() -> list[str]:
    """Return the servers' names with their addresses, for a service that reaches the copies."""
    return [f"{name}:{address}" for name, address in zip(SERVERS, ADDRESSES, strict=True)]


def copied(part: Infrastructure, alone: Document, secrets: list[str]) -> dict[str, Document]:
    """Return the containers of one server's copy, by name.

    Args:
        part: the store.
        alone: its container where there is only one copy.
        secrets: the secrets of what runs beside it.
    """
    shared = {key: value for key, value in alone.items() if key not in {"networks", "ports"}}
    shared |= {"network_mode": "host", "environment": _environment(part)}
    beside = companion_of(part)
    copy: Document = {
        **shared,
        "environment": {**alone.get("environment", {}), **_environment(part)},
    }
    if part.type == "redis":
        copy["command"] = ["start-redis-copy", *alone["command"]]
    else:
        copy["command"] = ["start-postgres-copy", "patroni"]
        copy["environment"]["COPIES_PASSWORD_FILE"] = f"{MOUNT}/{copies_password(part)}"
        copy["depends_on"] = {beside: {"condition": "service_started"}}
    companion = {key: value for key, value in shared.items() if key not in {"secrets", "shm_size"}}
    companion |= {
        "command": list(COMMANDS[part.type]),
        "volumes": [f"{beside}_data:/data"],
        "healthcheck": {**shared["healthcheck"], "test": _health(part)},
        "tmpfs": alone["tmpfs"][:1],
        "deploy": {"resources": {"limits": _limits(COMPANION_RESOURCES[part.type])}},
    }
    return {part.name: copy, beside: companion | ({"secrets": secrets} if secrets else {})}


def _environment(part: Infrastructure) -> dict[str, str]:
    return {
        "NAME": part.name,
        "MEMBER": "${MEMBER:?set MEMBER, this server's private address}",
        "MEMBERS": " ".join(ADDRESSES),
        "FOUNDER": "${FOUNDER:-}",
    }


def _health(part: Infrastructure) -> list[str]:
    if part.type == "postgres":
        return ETCD_HEALTH
    password = f"{MOUNT}/{password_of(part, OPERATOR)}"
    login = (
        f'REDISCLI_AUTH="$$(cat {password})" redis-cli --user {OPERATOR} -p {SENTINEL_PORT} ping'
    )
    return ["CMD", "sh", "-c", f'[ "$$({login})" = PONG ]']


def _limits(resources: Resources) -> Document:
    return {"cpus": resources.cpus, "memory": resources.memory, "pids": resources.pids}
