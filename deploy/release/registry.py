"""Images by way of a registry, where REGISTRY names one: pushed from here, pulled on the host.

REGISTRY is what an image's name starts with, registry.example.org/herald for example. Both sides
log in as they always do: `docker login` here, and as root on the host, where it is needed. A host
pulls by digest, and what it got has to have the id of the image that was built here.
"""

import json
import os
import re
import shlex
import threading
from collections.abc import Mapping

from deploy.agent.host.images import own_tag
from deploy.errors import ConfigError, UnavailableError
from deploy.release.engine import docker
from deploy.ssh import commands
from deploy.ssh.link import Link, Say

# https://github.com/distribution/reference/blob/main/reference.go
ADDRESS = re.compile(r"[A-Za-z0-9.-]+(:\d+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")
PUSHING = threading.Lock()
"""Several hosts at once want the same images: the first pushes, the others find them there."""


def address() -> str:
    """Return what REGISTRY says; empty where images go over SSH.

    Raises:
        ConfigError: It cannot be the start of an image's name.
    """
    given = os.environ.get("REGISTRY", "").rstrip("/")
    if given and not ADDRESS.fullmatch(given):
        raise ConfigError(
            f"REGISTRY is {given!r}; it is HOST[:PORT][/PATH], registry.example.org/herald for one"
        )
    return given


def deliver(registry: str, link: Link, project: str, missing: Mapping[str, str], say: Say) -> None:
    """Push images, and have a host pull them.

    Raises:
        UnavailableError: The registry does not take them, or the host cannot get them.
    """
    for service, image in missing.items():
        with PUSHING:
            reference = push(registry, service, image)
        say(f"  {service}: pulling {reference}")
        link.run(pull(link, project, service, reference, image))


def push(registry: str, service: str, image: str) -> str:
    """Push a service's image, tagged with its content; return its name with the registry's digest.

    Raises:
        UnavailableError: The registry does not take it; the message is what Docker said.
    """
    name = own_tag(registry, service, image)
    try:
        succeed(name, "image", "tag", image, name)
        succeed(name, "image", "push", "--quiet", name)
        listing = succeed(name, "image", "inspect", "--format", "{{json .RepoDigests}}", name)
    finally:
        # This machine keeps the image under its own name.
        docker(("docker", "image", "rm", name), b"", verbose=False)
    digests: list[str] = json.loads(listing)
    return next(digest for digest in digests if digest.startswith(f"{registry}/{service}@"))


def succeed(name: str, *words: str) -> str:
    """Return what a command of Docker's says that has to do with pushing an image."""
    result = docker(("docker", *words), b"", verbose=False)
    output = result.stdout.decode(errors="replace").strip()
    if result.returncode:
        why = (output.splitlines() or ["Docker gave no reason"])[-1]
        raise UnavailableError(f"{name} cannot be pushed: {why}")
    return output


def pull(link: Link, project: str, service: str, reference: str, image: str) -> str:
    """Return shell text that pulls an image by digest, checks its id and names it as ours.

    The registry's name goes again: it would keep the image when its release is cleared away.
    """
    own = own_tag(project, service, image)
    ask = f"docker image inspect --format '{{{{.Id}}}}' {shlex.quote(reference)}"
    wrong = f"{reference} is not the image that was built here"
    return commands.as_root(
        link.host,
        f"set -e; docker image pull --quiet {shlex.quote(reference)} >/dev/null; "
        f'[ "$({ask})" = {shlex.quote(image)} ] || '
        f"{{ docker image rm {shlex.quote(reference)} >/dev/null; "
        f"echo {shlex.quote(wrong)} >&2; exit 65; }}; "
        f"docker image tag {shlex.quote(reference)} {shlex.quote(own)}; "
        f"docker image rm {shlex.quote(reference)} >/dev/null",
    )
