"""The images of a release: built once for each state of their sources, sent where they lack."""

import contextlib
import hashlib
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

from deploy import commands
from deploy.errors import UnavailableError
from deploy.release import registry
from deploy.release.engine import docker
from deploy.remote import Remote, pump
from infra.stack import Plan
from infra.stack.compose.documents import compose_files

Say = Callable[[str], None]
Build = dict[str, Any]
"""Compose's words for how an image is built: context, dockerfile in it, perhaps target."""
PROGRESS_SECONDS = 2.0
SPACE_FACTOR = 2.2
"""The host needs an image's size twice for a moment: the archive's layers and their contents."""
RESERVE = 500_000_000


def builds(plan: Plan) -> dict[str, Build]:
    """Return how the image of each service of prod is built, infrastructure too."""
    files = compose_files(plan)
    return {
        name: service["build"]
        for overlay in ("dev", "tests")
        for name, service in files[overlay]["services"].items()
        if "build" in service and name in files["prod"]["services"]
    }


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
    names = {
        name: f"{plan.project}/{name}:src-{source(root, one)}" for name, one in builds(plan).items()
    }
    missing = {name: tag for name, tag in names.items() if local_id(tag) is None}
    if missing:
        say(f"building {', '.join(missing)}")
        services = {name: service(root, builds(plan)[name], tag) for name, tag in missing.items()}
        file = json.dumps({"name": f"{plan.project}-release", "services": services})
        command = ("docker", "compose", "-f", "-", "--progress", "plain", "build")
        result = docker(command, file.encode(), verbose=verbose)
        if result.returncode:
            words = (result.stdout or b"").decode(errors="replace").strip().splitlines()
            raise UnavailableError("the build failed:\n" + "\n".join(words[-15:]))
    found = {name: local_id(tag) for name, tag in names.items()}
    return {name: one for name, one in found.items() if one is not None}


def service(root: Path, one: Build, tag: str) -> dict[str, object]:
    """Return the Compose service that builds one image."""
    return {"image": tag, "build": {**one, "context": str(root / one["context"])}}


def source(root: Path, one: Build) -> str:
    """Return a digest of everything that an image is made from: sources, target, base images."""
    digest = hashlib.sha256(one.get("target", "").encode())
    dockerfile = root / one["context"] / one["dockerfile"]
    context = (root / one["context"]).relative_to(root)
    if context == Path():
        sources = f"services/{one['args']['SERVICE']}"
        folders = ["shared", sources, one["dockerfile"], ".dockerignore"]
    else:
        folders = [str(context)]
    listing = ("git", "ls-files", "-s", "--", *folders)
    told = subprocess.run(listing, cwd=root, capture_output=True, check=True).stdout
    digest.update(told)
    for line in dockerfile.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words[:1] == ["FROM"]:
            digest.update((local_id(words[1]) or words[1]).encode())
    return digest.hexdigest()[:12]


def local_id(name: str) -> str | None:
    """Return the id of an image on this machine; None where it is not here."""
    command = ("docker", "image", "inspect", "--format", "{{.Id}}", name)
    result = docker(command, b"", verbose=False)
    return result.stdout.decode().strip() if result.returncode == 0 else None


def sizes(images: Iterable[str]) -> int:
    """Return how many bytes images take, all together."""
    command = ("docker", "image", "inspect", "--format", "{{.Size}}", *images)
    return sum(int(line) for line in docker(command, b"", verbose=False).stdout.split())


def lacking(images: Mapping[str, str], there: Iterable[str]) -> dict[str, str]:
    """Return the images that a host does not have."""
    have = set(there)
    return {name: one for name, one in images.items() if one not in have}


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


def send(remote: Remote, project: str, missing: Mapping[str, str], say: Say) -> None:
    """Bring images to a host: by way of the registry where there is one, else over SSH.

    Raises:
        DeployError: It failed on either side.
    """
    if given := registry.address():
        registry.deliver(given, remote, project, missing, say)
    else:
        send_over_ssh(remote, missing, say)


def send_over_ssh(remote: Remote, missing: Mapping[str, str], say: Say) -> None:
    """Send images over SSH; the host's engine names them by their ids, which are checked later.

    Raises:
        UnavailableError: It failed on either side.
    """
    save = subprocess.Popen(
        commands.save_images(sorted(set(missing.values()))), stdout=subprocess.PIPE
    )
    shrink = subprocess.Popen(commands.compress(), stdin=save.stdout, stdout=subprocess.PIPE)
    load = remote.receive(commands.load_images(remote.host))
    began = told = time.monotonic()

    def progress(total: int) -> None:
        nonlocal told
        if time.monotonic() - told >= PROGRESS_SECONDS:
            told = time.monotonic()
            rate = total / 1e6 / (told - began)
            say(f"  {total // 1_000_000} MB sent ({rate:.0f} MB/s)")

    if save.stdout is None or shrink.stdout is None or load.stdin is None:
        raise AssertionError("pipes were asked for")
    save.stdout.close()
    with contextlib.suppress(BrokenPipeError):  # the host's side says why
        pump(shrink.stdout, load.stdin, progress)
    load.stdin = None
    _, words = load.communicate()
    for process in (shrink, save):
        process.terminate() if load.returncode else None
        process.wait()
    if load.returncode:
        raise remote.failure(load.returncode, words.decode(errors="replace"))
    if save.returncode or shrink.returncode:
        raise UnavailableError("docker image save failed on this machine")
