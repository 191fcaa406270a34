"""`make dead-letters`: the dead-letter tool on the running development stack, or on REDIS_URL.

Redis has no port on this machine in the development stack, so the tool runs inside the container of
a service that has events. It acts as Redis' operator, since no service may replay or drop; the
address, which holds the operator's password, is given as its standard input.
"""

import os
import subprocess
import sys

from infra.dev.compose import COMPOSE, read_env_file
from infra.dev.environment import ROOT
from infra.stack import Plan, Service, StackError, load_plan
from infra.stack.acl import OPERATOR, uses
from infra.stack.addresses import dev_passwords, password_variable
from infra.stack.plan import Infrastructure

MODULE = ("-m", "shared.dead_letters")
FROM_INPUT = ("--env", "REDIS_URL=", "--env", "REDIS_URL_FILE=/dev/stdin")


def main() -> int:
    """Run the tool with the arguments that were given; return its exit code."""
    arguments = sys.argv[1:]
    if os.environ.get("REDIS_URL"):
        here = (sys.executable, *MODULE, *arguments)
        return subprocess.run(here, cwd=ROOT, check=False).returncode
    try:
        plan = load_plan(ROOT / "services.yml")
    except StackError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    inside = runs_the_tool(plan)
    if inside is None:
        print("herald: no service of services.yml has events, so there are none", file=sys.stderr)
        return os.EX_CONFIG
    service, redis = inside
    command = (*COMPOSE, "exec", "-T", *FROM_INPUT, service.name, "python", *MODULE, *arguments)
    url = operator_url(redis, password(plan, redis))
    return subprocess.run(command, cwd=ROOT, check=False, input=url.encode()).returncode


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


def operator_url(redis: Infrastructure, secret: str) -> str:
    """Return the address of a Redis for its operator, as a container sees it."""
    return f"redis://{OPERATOR}:{secret}@{redis.name}:{redis.port}"


def password(plan: Plan, redis: Infrastructure) -> str:
    """Return the password of the development stack's users, from the environment or .env."""
    name = password_variable(redis)
    there = read_env_file() if (ROOT / ".env").is_file() else {}
    return os.environ.get(name) or there.get(name) or dev_passwords(plan)[name]


if __name__ == "__main__":
    raise SystemExit(main())
