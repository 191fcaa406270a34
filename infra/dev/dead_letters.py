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
    try:
        plan = load_plan(ROOT / "services.yml")
    except InputError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    inside = runs_the_tool(plan)
    if inside is None:
        print("herald: no service of services.yml has events, so there are none", file=sys.stderr)
        return os.EX_CONFIG
    service, redis = inside
    command = (*COMPOSE, "exec", "-T", *FROM_INPUT, service.name, *TOOL, *arguments)
    url = password(plan, redis).join(around_password(redis))
    return subprocess.run(command, cwd=ROOT, check=False, input=url.encode()).returncode


def password(plan: Plan, redis: Infrastructure) -> str:
    """Return the password of the development stack's users, from the environment or .env."""
    name = password_variable(redis)
    there = read_env_file() if (ROOT / ".env").is_file() else {}
    return os.environ.get(name) or there.get(name) or dev_passwords(plan)[name]


if __name__ == "__main__":
    raise SystemExit(main())
