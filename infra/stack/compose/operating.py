"""Where the dead-letter tool runs, and how it is told to act as Redis' operator.

No service may replay or drop, so the tool gets an address of its own. It holds the operator's
password: the tool reads it from its standard input, and no command line or environment has it.
"""

from infra.stack.compose.acl import OPERATOR, uses
from infra.stack.compose.addresses import login
from infra.stack.plan import Infrastructure, Plan, Service

TOOL = ("python", "-m", "shared.dead_letters")
FROM_INPUT = ("--env", "REDIS_URL=", "--env", "REDIS_URL_FILE=/dev/stdin")
"""Options of `docker exec`: the tool's one variable is what its input has."""


def runs_the_tool(plan: Plan) -> tuple[Service, Infrastructure] | None:
    """Return the first service whose image holds the tool, and the Redis of its events.

    One that runs whatever the profile comes first.
    """
    return next(
        (
            (service, redis)
            for service in sorted(plan.services, key=lambda one: bool(one.profiles))
            if service.built and (service.publishes or service.subscribes)
            for redis in plan.infrastructure
            if redis.type == "redis" and uses(service, redis)
        ),
        None,
    )


def around_password(redis: Infrastructure) -> tuple[str, str]:
    """Return what stands before and behind the password in the operator's address of a Redis."""
    before, _, behind = login(redis, OPERATOR, " ").partition(" ")
    return f"{redis.scheme}://{before}", f"{behind}{redis.name}:{redis.port}"
