"""What each service's variables are worth when the stack runs as processes of this machine."""

import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from infra.stack import BOT_TOKEN, InputError, Plan, Reference, Service, Variable

LOCALHOST = "127.0.0.1"
DEMO_VALUE = "demo"
"""What a secret or required variable is worth that nobody has set."""


class NoTelegramError(InputError):
    """The stack has no simulator to talk to."""

    exit_code = os.EX_CONFIG


@dataclass(frozen=True)
class Wiring:
    """The addresses of one run: a port for each name and a folder for what is kept.

    Attributes:
        plan: The stack.
        root: The folder of services.yml and .env.
        folder: Where processes keep what they keep.
        ports: The port of each service and part of the infrastructure.
        health_ports: The port of each one's health check, where that has its own.
        simulator: The service that stands in for Telegram.
    """

    plan: Plan
    root: Path
    folder: Path
    ports: Mapping[str, int]
    health_ports: Mapping[str, int]
    simulator: Service

    @classmethod
    def make(cls, plan: Plan, root: Path, folder: Path) -> "Wiring":
        """Choose free ports for every service and part of the infrastructure.

        Raises:
            NoTelegramError: No service provides TELEGRAM_API_URL.
        """
        names = [*(part.name for part in plan.infrastructure), *(s.name for s in plan.services)]
        free = free_ports(2 * len(names))
        for service in plan.services:
            if any(given.name == "TELEGRAM_API_URL" for given in service.provides):
                ports = dict(zip(names, free[: len(names)], strict=True))
                health = dict(zip(names, free[len(names) :], strict=True))
                return cls(plan, root, folder, ports, health, service)
        raise NoTelegramError(
            "the demo needs a Telegram: no service of services.yml provides TELEGRAM_API_URL, "
            "as telegram_sim does"
        )

    @property
    def services(self) -> tuple[Service, ...]:
        """The services that belong to the demo, in start order: what dev has with the simulator."""
        return self.plan.running("dev", self.simulator.profiles)

    @property
    def bots(self) -> tuple[Service, ...]:
        """The services that talk to Telegram."""
        provided = {given.name for given in self.simulator.provides}
        return tuple(
            service
            for service in self.services
            if service.bot_token is not None and service.bot_token.given_as in provided
        )

    def token(self, bot: Service) -> str:
        """Return a bot's token at the simulator."""
        return self.variables(bot)[BOT_TOKEN]

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams that services.yml declares."""
        return tuple(event.name for event in self.plan.events)

    def readers(self, stream: str) -> tuple[str, ...]:
        """Return the services of the demo that read a stream."""
        here = [service.name for service in self.services if service.built]
        for event in self.plan.events:
            if event.name == stream:
                return tuple(name for name in event.subscribers if name in here)
        return ()

    def variables(self, service: Service) -> dict[str, str]:
        """Return a service's environment, as `services.yml`, .env and the shell have it."""
        provided, given = self._provided(), self._given()
        values = {}
        for variable in service.env:
            value = provided.get(variable.given_as) or self._variable(variable, given)
            values[variable.name] = value or (DEMO_VALUE if _asked_for(variable) else "")
        values |= {name: value for name, value in self._beside().items() if name in values}
        logs = {name: "console" for name in values if name.endswith("LOG_FORMAT")}
        return {name: value for name, value in (values | logs).items() if value}

    def _beside(self) -> dict[str, str]:
        """Return what a console and the chat beside it are told of each other, and of the rest."""
        urls = {it.name: self.health_url(it) for it in self.services if it.built}
        consoles = ",".join(self.url(it.name) for it in self.services if it.console)
        return {
            "CONSOLE_ADDRESSES": " ".join(f"{name}={url}" for name, url in urls.items() if url),
            "CONSOLE_CHAT": self.url(self.simulator.name),
            "SIM_FRAMES": consoles,
        }

    def unset(self, service: Service) -> Iterator[str]:
        """Yield the variables that have a demo value because nobody has set them."""
        provided, given = self._provided(), self._given()
        for variable in service.env:
            if _asked_for(variable) and not (
                provided.get(variable.given_as) or given.get(variable.given_as)
            ):
                yield variable.given_as

    def value(self, reference: Reference) -> str:
        """Return an address or folder that a variable refers to."""
        name = reference.target
        if reference.attribute == "url":
            return self._url(reference)
        if reference.attribute == "public":
            return ""  # nobody reaches a demo from outside, so its bot polls
        simple = {
            "host": LOCALHOST,
            "bind": LOCALHOST,
            "port": str(self.ports[name]),
            "health_port": str(self.health_ports[name]),
            "data": str(self.folder),
        }
        return simple[reference.attribute] + reference.path

    def health_url(self, service: Service) -> str:
        """Return the URL that answers 200 when the service is healthy; '' where it has none."""
        if service.health is None or not service.health.path:
            return ""
        apart = service.health.port != service.port
        port = (self.health_ports if apart else self.ports)[service.name]
        return f"http://{LOCALHOST}:{port}{service.health.path}"

    def url(self, name: str) -> str:
        """Return the base URL of a service."""
        return f"http://{LOCALHOST}:{self.ports[name]}"

    @property
    def redis(self) -> str:
        """The name of the Redis that holds the streams; '' where there is none."""
        return next((part.name for part in self.plan.infrastructure if part.type == "redis"), "")

    @property
    def console(self) -> str:
        """The address of the console; '' where no service has one."""
        for service in self.services:
            if (
                "dev" in service.console
                and self.variables(service).get("CONSOLE_MODE", "off") != "off"
            ):
                return f"{self.url(service.name)}/console/"
        return ""

    @property
    def redis_url(self) -> str:
        """The address of that Redis; '' where there is none."""
        return f"redis://{LOCALHOST}:{self.ports[self.redis]}" if self.redis else ""

    @property
    def database(self) -> Path:
        """The SQLite file that stands in for PostgreSQL."""
        return self.folder / "database.sqlite3"

    def _provided(self) -> dict[str, str]:
        return {
            given.name: self.value(given.reference) if given.reference else given.value or ""
            for other in self.services
            for given in other.provides
        }

    def _given(self) -> dict[str, str]:
        """Return what .env and the shell say; the shell wins, as it does with Compose."""
        kept = {name: value or "" for name, value in dotenv_values(self.root / ".env").items()}
        return kept | os.environ

    def _url(self, reference: Reference) -> str:
        if reference.scheme.startswith("postgresql"):
            return f"sqlite+aiosqlite:///{self.database}"
        port = self.ports[reference.target]
        return f"{reference.scheme}://{LOCALHOST}:{port}{reference.path}"

    def _variable(self, variable: Variable, given: Mapping[str, str]) -> str:
        if variable.reference is not None:
            return self.value(variable.reference)
        own = "" if variable.kind == "value" else given.get(variable.given_as)
        return own or variable.value or ""


def _asked_for(variable: Variable) -> bool:
    return variable.kind in {"secret", "required"}


def free_ports(count: int) -> list[int]:
    """Return TCP ports of 127.0.0.1 that nobody listens on, all different."""
    listeners = [socket.socket() for _ in range(count)]
    try:
        for listener in listeners:
            listener.bind((LOCALHOST, 0))
        return [listener.getsockname()[1] for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()
