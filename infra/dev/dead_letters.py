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
from infra.stack import InputError, Plan, load_plan
from infra.stack.compose.addresses import dev_passwords, password_variable
from infra.stack.compose.operating import FROM_INPUT, TOOL, around_password, runs_the_tool
from infra.stack.plan import Infrastructure


def main() -> int:
    """Run the tool with the arguments that were given; return its exit code."""
    arguments = sys.argv[1:]
    if os.environ.get("REDIS_URL"):
        here = (sys.executable, *TOOL[1:], *arguments)
        return subprocess.run(here, cwd=ROOT, check=False).returncode
    service, url = inside()
    command = (*COMPOSE, "exec", "-T", *FROM_INPUT, service, *TOOL, *arguments)
    return subprocess.run(command, cwd=ROOT, check=False, input=url.encode()).returncode


def inside() -> tuple[str, str]:
    """Return the service in whose container a tool for events runs, and the operator's address.

    Raises:
        SystemExit: There is none, or services.yml is wrong; the reason is on standard error.
    """
    try:
        plan = load_plan(ROOT / "services.yml")
    except InputError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    place = runs_the_tool(plan)
    if place is None:
        print("herald: no service of services.yml has events, so there are none", file=sys.stderr)
        raise SystemExit(os.EX_CONFIG)
    service, redis = place
    return service.name, password(plan, redis).join(around_password(redis, "dev"))


def password(plan: Plan, redis: Infrastructure) -> str:
    """Return the password of the development stack's users, from the environment or .env."""
    name = password_variable(redis)
    there = read_env_file() if (ROOT / ".env").is_file() else {}
    return os.environ.get(name) or there.get(name) or dev_passwords(plan)[name]


if __name__ == "__main__":
    raise SystemExit(main())
