"""The images of a release: built once for each state of their sources, sent where they lack."""

import contextlib
import hashlib
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

from deploy.agent.host.images import builder
from deploy.errors import UnavailableError
from deploy.release import archive, registry
from deploy.release.engine import docker
from deploy.ssh import commands
from deploy.ssh.link import Link, Say, pump
from infra.stack import Plan
from infra.stack.compose.builds import server_builds

Build = dict[str, Any]
"""Compose's words for how an image is built: context, dockerfile in it, perhaps target."""
PROGRESS_SECONDS = 2.0
SPACE_FACTOR = 2.2
"""The host needs an image's size twice for a moment: the archive's layers and their contents."""
RESERVE = 500_000_000


def builds(plan: Plan) -> dict[str, Build]:
    """Return how the image of each service of prod is built, infrastructure too."""
    return server_builds(plan)


class Images:
    """The images of a checkout, built when the first host wants them, for all hosts once."""

    def __init__(self, plan: Plan, root: Path, say: Say, *, verbose: bool) -> None:
        self._build = partial(build, plan, root, say, verbose=verbose)
        self._outcome: Future[dict[str, str]] = Future()
        self._mutex = threading.Lock()

    def built(self) -> dict[str, str]:
        """Return the image id of each service.

        Raises:
            UnavailableError: Docker does not answer here, or the build failed.
        """
        with self._mutex:
            if not self._outcome.done():
                try:
                    self._outcome.set_result(self._build())
                except UnavailableError as error:
                    self._outcome.set_exception(error)
        return self._outcome.result()


def build(plan: Plan, root: Path, say: Say, *, verbose: bool) -> dict[str, str]:
    """Build what is not built yet and return the image id of each service.

    An image is named after a digest of its sources and base images, so that the same sources give
    the very same image: a deploy of what runs already changes nothing.

    Raises:
        UnavailableError: Docker does not answer here, or a build failed.
    """
    built, there = builds(plan), local_ids()
    names = {
        name: f"{plan.project}/{name}:src-{source(root, how, there)}" for name, how in built.items()
    }
    if missing := {name: tag for name, tag in names.items() if tag not in there}:
        say(f"building {', '.join(missing)}")
        services = {name: service(root, built[name], tag) for name, tag in missing.items()}
        file = json.dumps({"name": builder(plan.project), "services": services})
        command = ("docker", "compose", "-f", "-", "--progress", "plain", "build")
        result = docker(command, file.encode(), verbose=verbose)
        if result.returncode:
            words = (result.stdout or b"").decode(errors="replace").strip().splitlines()
            raise UnavailableError("the build failed:\n" + "\n".join(words[-15:]))
        there = local_ids()
    return {name: there[tag] for name, tag in names.items() if tag in there}


def service(root: Path, how: Build, tag: str) -> dict[str, object]:
    """Return the Compose service that builds one image."""
    return {"image": tag, "build": {**how, "context": str(root / how["context"])}}


def source(root: Path, how: Build, there: Mapping[str, str]) -> str:
    """Return a digest of everything that an image is made from: sources, target, base images."""
    digest = hashlib.sha256(how.get("target", "").encode())
    dockerfile = root / how["context"] / how["dockerfile"]
    context = (root / how["context"]).relative_to(root)
    if context == Path():
        sources = f"services/{how['args']['SERVICE']}"
        folders = ["shared", sources, how["dockerfile"], ".dockerignore"]
    else:
        folders = [str(context)]
    command = ("git", "ls-files", "-s", "--", *folders)
    digest.update(subprocess.run(command, cwd=root, capture_output=True, check=True).stdout)
    for line in dockerfile.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words[:1] == ["FROM"]:
            digest.update(there.get(words[1], words[1]).encode())
    return digest.hexdigest()[:12]


def local_ids() -> dict[str, str]:
    """Return the id of each image on this machine by its name and tag."""
    form = "{{.Repository}}:{{.Tag}}\t{{.ID}}"
    listing = docker(("docker", "image", "ls", "--no-trunc", "--format", form), b"", verbose=False)
    lines = listing.stdout.decode().splitlines() if listing.returncode == 0 else []
    return dict(line.split("\t") for line in lines if "\t" in line)


def sizes(images: Iterable[str]) -> int:
    """Return how many bytes images take, all together."""
    command = ("docker", "image", "inspect", "--format", "{{.Size}}", *images)
    return sum(int(line) for line in docker(command, b"", verbose=False).stdout.split())


def lacking(images: Mapping[str, str], there: Iterable[str]) -> dict[str, str]:
    """Return the images that a host does not have."""
    have = set(there)
    return {name: image for name, image in images.items() if image not in have}


def check_space(missing: Mapping[str, str], free: int) -> None:
    """Make sure that the images fit.

    Raises:
        UnavailableError: They do not.
    """
    needed = int(sizes(set(missing.values())) * SPACE_FACTOR) if missing else 0
    if free < needed + RESERVE:
        raise UnavailableError(
            f"the host's disk has {free // 1_000_000} MB free and "
            f"{(needed + RESERVE) // 1_000_000} MB are needed; make room, then deploy again"
        )


def check_sendable() -> None:
    """Make sure that this machine has what sending images takes.

    Raises:
        DeployError: It has not.
    """
    if not registry.address() and shutil.which(commands.compress()[0]) is None:
        raise UnavailableError("zstd is missing on this machine; images are sent with it")


def send(link: Link, project: str, missing: Mapping[str, str], say: Say) -> None:
    """Bring images to a host: by way of the registry where there is one, else over SSH.

    Raises:
        DeployError: It failed on either side.
    """
    if given := registry.address():
        registry.deliver(given, link, project, missing, say)
    else:
        send_over_ssh(link, missing, say)


def send_over_ssh(link: Link, missing: Mapping[str, str], say: Say) -> None:
    """Send what a host lacks of images over SSH; their ids are checked later.

    Raises:
        UnavailableError: It failed on either side.
    """
    known = archive.layers_of_images(link.run(commands.as_root(link.host, archive.KNOWN_LAYERS)))
    began = spoke = time.monotonic()

    def progress(total: int) -> None:
        nonlocal spoke
        if time.monotonic() - spoke >= PROGRESS_SECONDS:
            spoke = time.monotonic()
            rate = total / 1e6 / (spoke - began)
            say(f"  {total // 1_000_000} MB sent ({rate:.0f} MB/s)")

    with archive.compressed(sorted(set(missing.values())), known) as stream:
        load = link.start(commands.load_images(link.host))
        with contextlib.suppress(OSError):  # the host's side says why
            pump(stream, load.input, progress)
        load.finish()
