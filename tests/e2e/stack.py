"""The rendered Compose stack of the tests, under a project name of its own."""

import json
import os
import secrets
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from infra.stack import load_plan
from infra.stack.compose.addresses import password_variable, stand_ins
from infra.stack.compose.operating import FROM_INPUT, TAIL, TOOL, around_password, runs_the_tool

ROOT = Path(__file__).resolve().parents[2]


class ComposeStack:
    """`infra/compose.tests.yml`, built, started and waited for; removed with its volumes."""

    def __init__(self) -> None:
        self.project = f"herald-e2e-{secrets.token_hex(3)}"
        self.plan = load_plan(ROOT / "services.yml")

    def __enter__(self) -> Self:
        try:
            self.compose("up", "--build", "--detach", "--wait", "--wait-timeout", "180")
        except BaseException:
            print(self.compose("logs", "--tail", "30"))  # noqa: T201 — for whoever reads the failure
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")

    @property
    def command(self) -> tuple[str, ...]:
        """How Compose's commands for this stack begin."""
        project = ("--project-directory", ".", "--project-name", self.project)
        return ("docker", "compose", *project, "-f", "infra/compose.tests.yml")

    def environment(self) -> dict[str, str]:
        """Return the environment of such a command."""
        env = {**os.environ, **stand_ins(self.plan, "tests")}
        env.pop("COMPOSE_PROFILES", None)
        return env

    def compose(self, *arguments: str, given: str = "") -> str:
        """Run one Compose command and return its output; its failure shows what it said."""
        command, env = (*self.command, *arguments), self.environment()
        done = subprocess.run(
            command, cwd=ROOT, env=env, input=given, check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise AssertionError(f"{' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def url(self, service: str) -> str:
        """Return the base URL of a service's published port on this machine."""
        port = self.plan.service(service).port
        return f"http://{self.compose('port', service, str(port)).strip()}"

    def redis(self, *command: str) -> str:
        """Return what redis-cli in the Redis container prints."""
        return self.compose("exec", "-T", "redis", "redis-cli", "--user", "operator", *command)

    def dead_letters(self, *arguments: str, operator: bool = True) -> str:
        """Return what the dead-letter tool prints, as Redis' operator or as the backend itself."""
        inside = runs_the_tool(self.plan)
        assert inside is not None
        service, redis = inside
        tool = (service.name, *TOOL, *arguments)
        if not operator:
            return self.compose("exec", "-T", *tool)
        password = stand_ins(self.plan, "tests")[password_variable(redis)]
        url = password.join(around_password(redis, "tests"))
        return self.compose("exec", "-T", *FROM_INPUT, *tool, given=url)

    @contextmanager
    def following(self, *options: str) -> Iterator["subprocess.Popen[str]"]:
        """Follow the streams as Redis' operator, as `make events` does inside a container."""
        inside = runs_the_tool(self.plan)
        assert inside is not None
        service, redis = inside
        tool = ("exec", "-T", service.name, *TAIL, *options)
        password = stand_ins(self.plan, "tests")[password_variable(redis)]
        with subprocess.Popen(
            (*self.command, *tool),
            cwd=ROOT,
            env=self.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin
            print(password.join(around_password(redis, "tests")), file=process.stdin, flush=True)
            yield process

    def sql(self, query: str) -> list[list[str]]:
        """Return the rows of a query, each value as text."""
        whose = ("-U", self.plan.project, "-d", self.plan.project)
        psql = ("psql", *whose, "-At", "-F", "\t", "-c", query)
        printed = self.compose("exec", "-T", "postgres", *psql)
        return [line.split("\t") for line in printed.splitlines()]

    def healthcheck(self, service: str) -> str:
        """Return the shell text of a container's health check."""
        services = json.loads(self.compose("config", "--format", "json"))["services"]
        return shlex.join(services[service]["healthcheck"]["test"][1:])

    def states(self) -> dict[str, str]:
        """Return each container's health, or its state where it has no health check."""
        lines = self.compose("ps", "--format", "json").splitlines()
        containers = [json.loads(line) for line in lines]
        return {part["Service"]: part["Health"] or part["State"] for part in containers}
