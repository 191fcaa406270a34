"""Plain data in Compose's own words: what each rendered Compose file says."""

from dataclasses import dataclass

from infra.stack.plan import Dependency, Health, Resources


@dataclass(frozen=True, slots=True)
class Build:
    """How an image is built: context, Dockerfile, and which image: of a target, or service."""

    context: str
    dockerfile: str
    target: str = ""
    service: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """A network between a service and those that reach it, or (not internal) a way out.

    Who shares a way out cannot talk to each other over it; `inward` is for host ports only and
    leads nowhere.
    """

    name: str
    internal: bool = True
    inward: bool = False


@dataclass(frozen=True, slots=True)
class Container:
    """One service of a Compose file, every value final."""

    name: str
    comment: str
    image: str
    build: Build | None
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    depends_on: tuple[Dependency, ...]
    profiles: tuple[str, ...]
    ports: tuple[str, ...]
    networks: tuple[str, ...]
    volumes: tuple[tuple[str, str], ...]
    tmpfs: tuple[str, ...]
    healthcheck: tuple[str, ...]
    health: Health | None
    user: str
    read_only: bool
    init: bool
    cap_drop: bool
    cap_add: tuple[str, ...]
    security_opt: tuple[str, ...]
    resources: Resources
    replicas: int
    restart: str
    stop_grace_period: str
    shm_size: str = ""
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ComposeFile:
    """The contents of one rendered Compose file; `additions` are merged onto base."""

    overlay: str
    project: str
    containers: tuple[Container, ...]
    additions: tuple[Container, ...]
    networks: tuple[Network, ...]
    volumes: tuple[str, ...]
    secrets: tuple[tuple[str, str], ...]
