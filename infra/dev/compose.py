"""`make dev-start`, `dev-stop`, `log`: the stack in containers on this machine.

COMPOSE_PROFILES chooses the bot: `tg` runs it against Telegram with the token from .env, `sim`
against the simulator; without a profile there is no bot. At a terminal `start` stays, and builds a
service anew when it is saved: Compose's own `develop.watch` cannot copy into read-only containers.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from time import monotonic

from dotenv import dotenv_values
from watchfiles import watch

from infra.dev.environment import ROOT, say
from infra.dev.saves import changed_services, source_folders
from infra.stack import InputError, Plan, load_plan
from infra.stack.compose.addresses import dev_passwords, stand_ins

FILES = ("-f", "infra/compose.base.yml", "-f", "infra/compose.dev.yml")
COMPOSE = ("docker", "compose", "--project-directory", ".", *FILES)
UP = ("up", "--build", "--detach", "--wait", "--wait-timeout", "300")
USAGE = "usage: python -m infra.dev.compose start | stop | log [SERVICE]"


def main(arguments: Sequence[str]) -> int:
    """Do one verb; return its exit code."""
    try:
        plan = load_plan(ROOT / "services.yml")
    except InputError as error:
        print(error, file=sys.stderr)
        return os.EX_DATAERR
    match list(arguments):
        case ["start"]:
            return start(plan)
        case ["stop"]:
            return compose("--profile", "*", "down", "--remove-orphans", env={})
        case ["log", *names]:
            return log(plan, names)
        case _:
            print(USAGE, file=sys.stderr)
            return os.EX_USAGE


def start(plan: Plan) -> int:
    """Build the images, start the stack and wait until all of it is healthy."""
    make_env_file()
    chosen = os.environ.get("COMPOSE_PROFILES") or read_env_file().get("COMPOSE_PROFILES", "")
    profiles = [name for name in chosen.split(",") if name]
    known = sorted({profile for service in plan.services for profile in service.profiles})
    for profile in profiles:
        if profile not in known:
            print(f"no profile is called {profile!r}; there are: {', '.join(known)}")
            return os.EX_USAGE
    there = {**read_env_file(), **os.environ}
    variables = {name: text for name, text in dev_passwords(plan).items() if not there.get(name)}
    variables |= stand_ins(plan, "dev", profiles)
    missing = missing_variables(plan, profiles, variables)
    if missing:
        names = " and ".join(missing)
        print(f"herald: {names} must be set in .env for this profile", file=sys.stderr)
        return os.EX_CONFIG
    if not profiles:
        bots = sorted(
            {name for service in plan.services if service.built for name in service.profiles}
        )
        say(f"no bot without a profile; COMPOSE_PROFILES={'|'.join(bots)} make dev-start runs one")
    say("building the images and starting the stack")
    code = compose(*UP, "--remove-orphans", env=variables)
    if code:
        say("the stack is not healthy; its last lines:")
        compose("logs", "--tail", "15", env=variables)
        return os.EX_UNAVAILABLE
    compose("ps", env=variables)
    for service in plan.running("dev", profiles):
        for port in service.published.get("dev", ()):
            url = f"http://{port.host_ip}:{port.published}"
            say(f"{service.name} is at {url}")
            if (
                "dev" in service.console
                and {**there, **variables}.get("CONSOLE_MODE", "off") != "off"
            ):
                say(f"its console is at {url}/console/")
    if sys.stdin.isatty() and sys.stdout.isatty():
        follow_saves(
            [service.name for service in plan.running("dev", profiles) if service.built], variables
        )
    return os.EX_OK


def follow_saves(names: Sequence[str], variables: Mapping[str, str]) -> None:
    """Build and start a service anew whenever it is saved, until Ctrl-C."""
    folders = source_folders(ROOT)
    watching = watch(*folders, raise_interrupt=False, rust_timeout=500, yield_on_timeout=True)
    env_file = read_env_file()
    first = next(watching, set())  # from here on no save is missed
    say("a save builds and starts its service anew; Ctrl-C ends that, and make dev-stop the stack")
    for changes in chain([first], watching):
        saved = [Path(path).relative_to(ROOT) for _, path in changes]
        changed = changed_services(saved, names)
        which = " and ".join(changed)
        if env_file != (env_file := read_env_file()):
            # Compose leaves alone whose variables are the same.
            changed, which, saved = list(names), "the stack", [Path(".env")]
        if changed:
            began = monotonic()
            up = (*COMPOSE, "--progress", "quiet", *UP, "--no-deps", *changed)
            env = {**os.environ, **variables}
            done = subprocess.run(
                up, cwd=ROOT, env=env, check=False, capture_output=True, text=True
            )
            if done.returncode == 0:
                say(f"{which} runs again after {monotonic() - began:.1f} s: {saved[0].name}")
            else:
                say(f"{which} does not run; its last lines:\n{done.stderr.strip()}")
                compose("logs", "--no-log-prefix", "--tail", "5", *changed, env=variables)


def log(plan: Plan, names: Sequence[str]) -> int:
    """Follow the logs of the named services, or of all."""
    known = [
        *(part.name for part in plan.infrastructure),
        *(service.name for service in plan.services),
    ]
    for name in names:
        if name not in known:
            print(f"no service is called {name!r}; there are: {', '.join(known)}", file=sys.stderr)
            return os.EX_USAGE
    try:
        return compose("--profile", "*", "logs", "--follow", "--tail", "100", *names, env={})
    except KeyboardInterrupt:
        return os.EX_OK


def make_env_file() -> None:
    """Make .env from .env.example where there is none; 0600, since tokens go into it."""
    env = ROOT / ".env"
    if not env.exists():
        shutil.copyfile(ROOT / ".env.example", env)
        env.chmod(0o600)
        say(".env was missing; it is now a copy of .env.example, to be filled in")


def missing_variables(plan: Plan, profiles: Sequence[str], given: Mapping[str, str]) -> list[str]:
    """Return the variables that whoever runs the stack has to set and has not."""
    there = {**read_env_file(), **os.environ, **given}
    wanted = [
        variable.given_as
        for service in plan.running("dev", profiles)
        for variable in service.env
        # Without an address Alertmanager tells nobody, and has its page.
        if variable.kind in {"secret", "required"} and service.type != "alertmanager"
    ]
    return sorted({name for name in wanted if not there.get(name)})


def read_env_file() -> dict[str, str]:
    """Return the variables of .env, as Compose reads it."""
    return {name: value or "" for name, value in dotenv_values(ROOT / ".env").items()}


def compose(*arguments: str, env: Mapping[str, str]) -> int:
    """Run one Compose command on the development stack."""
    if shutil.which("docker") is None:
        print("herald: Docker is missing; make docker-engine installs it (Debian, root)")
        return os.EX_UNAVAILABLE
    command = (*COMPOSE, *arguments)
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
