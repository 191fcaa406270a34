"""Where the tools for events run, and how they are told to act as Redis' operator.

No service may replay or drop, or read what others do, so a tool gets an address of its own. It
holds the operator's password: the tool reads it from its standard input, and no command line or
environment has it.
"""

from infra.stack.compose.acl import OPERATOR, uses
from infra.stack.compose.addresses import SENTINEL, sentinels
from infra.stack.compose.secrets import mounted
from infra.stack.plan import Infrastructure, Overlay, Plan, Service

TOOL = ("python", "-m", "shared.dead_letters")
TAIL = ("python", "-m", "shared.tail", "--json", "--status", "--url-from-input")
"""What follows the streams; the first line of its input is the address, the end of it its own."""
FROM_INPUT = ("--env", "REDIS_URL=", "--env", "REDIS_URL_FILE=/dev/stdin")
"""Options of `docker exec`: the tool's one variable is what its input has."""


def runs_the_tool(plan: Plan) -> tuple[Service, Infrastructure] | None:
    """Return the first service whose image holds the tools, and the Redis of its events.

    One that runs whatever the profile comes first.
    """
    return next(
        (
            (service, redis)
            for service in sorted(plan.services, key=lambda service: bool(service.profiles))
            if service.built and (service.publishes or service.subscribes)
            for redis in plan.infrastructure
            if redis.type == "redis" and uses(service, redis)
        ),
        None,
    )


def own_address(plan: Plan, service: Service, redis: Infrastructure) -> tuple[str, ...]:
    """Return options of `docker exec` with which the tool has the service's own address in prod."""
    file = next(
        mounted(plan)[service.name, variable.name]
        for variable in service.env
        if variable.reference and variable.reference.target == redis.name
    )
    return ("--env", "REDIS_URL=", "--env", f"REDIS_URL_FILE={file.path}")


def around_password(redis: Infrastructure, overlay: Overlay = "dev") -> tuple[str, str]:
    """Return what stands before and behind the password in the operator's address of a Redis."""
    if overlay == "prod" and redis.copies > 1:
        return f"{redis.scheme}+{SENTINEL}://{OPERATOR}:", f"@{sentinels(redis.name)}"
    return f"{redis.scheme}://{OPERATOR}:", f"@{redis.name}:{redis.port}"
