"""Images of this machine's own making, where the registry's cannot be had.

A stand-in carries a digest of everything it was made from, so that a changed recipe, certificate or
mirror makes it anew, and nothing else does. An image without that label is a real one and is left
alone.
"""

import hashlib
import json
import re
import subprocess
import tempfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from infra.engine import debian, machine
from infra.engine.report import ROOT, environment, run

IMAGES = ROOT / "infra/engine/images"
DOCKERFILES = (
    "services/Dockerfile",
    "infra/images/Dockerfile",
    "infra/observability/Dockerfile",
    "infra/ingress/Dockerfile",
)
PINNED = re.compile(r"^FROM (\S+:[^@\s]+)", re.MULTILINE)


@dataclass(frozen=True)
class Recipe:
    """A folder with a Dockerfile.

    Attributes:
        folder: Its name.
        stage: The stage of it that is the image: the last one for ''.
        suite: The Debian that it starts from.
    """

    folder: str
    stage: str = ""
    suite: str = "trixie"


def pinned() -> tuple[str, ...]:
    """Return the images that ours are built from, as their Dockerfiles name them."""
    texts = [(ROOT / path).read_text(encoding="utf-8") for path in DOCKERFILES]
    return tuple(image for text in texts for image in PINNED.findall(text))


RECIPES = {image: Recipe(image.partition(":")[0].rpartition("/")[2]) for image in pinned()}
SERVERS = {
    "herald-test-server:bare": Recipe("server", "bare"),
    "herald-test-server:trixie": Recipe("server", "engine"),
    "herald-test-server:bookworm": Recipe("server_with_systemd", suite="bookworm"),
    "herald-test-registry:trixie": Recipe("registry"),
}
LABEL = "herald.stand-in"
# As the official base: no manuals, documents or translations, packages unpacked without fsync.
# https://github.com/debuerreotype/debuerreotype/blob/master/scripts/debuerreotype-minimizing-config
BASE_OPTIONS = (
    "--variant=minbase",
    "--include=ca-certificates",
    "--dpkgopt=force-unsafe-io",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    '--aptopt=Acquire::Languages "none"',
)


def missing(recipes: dict[str, Recipe]) -> list[str]:
    """Return the images that are not here, or were made here from something else than now."""
    labelled = labels(recipes)
    return [
        image
        for image, recipe in recipes.items()
        if image not in labelled or labelled[image] not in {None, digest(recipe.suite, recipe)}
    ]


def labels(images: Iterable[str]) -> dict[str, str | None]:
    """Return the images that are here, each with its digest; None is a real one's."""
    form = "{{json .RepoTags}}\t{{json .Config.Labels}}"
    command = ("docker", "image", "inspect", "--format", form, *images)
    result = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    labelled: dict[str, str | None] = {}
    for line in filter(None, result.stdout.splitlines()):
        tags, _, marks = line.partition("\t")
        for tag in json.loads(tags) or ():
            labelled[tag] = (json.loads(marks) or {}).get(LABEL)
    return labelled


def digest(suite: str, recipe: Recipe | None = None) -> str:
    """Return a digest of everything that decides what a stand-in holds; of the base without one."""
    content = hashlib.sha256(repr((suite, BASE_OPTIONS, base_files())).encode())
    if recipe:
        for path in sorted((IMAGES / recipe.folder).rglob("*")):
            content.update(path.name.encode())
            content.update(path.read_bytes())
    return content.hexdigest()[:16]


def build(images: Collection[str], recipes: dict[str, Recipe]) -> None:
    """Make images, all at once, from the base and Debian's packages."""
    services = {
        recipe.stage or recipe.folder: service(image, recipe)
        for image, recipe in recipes.items()
        if image in images
    }
    with tempfile.TemporaryDirectory(prefix="herald-images-") as folder:
        plan = Path(folder) / "compose.json"
        plan.write_text(json.dumps({"name": "herald-stand-ins", "services": services}))
        command = ("docker", "compose", "--file", str(plan), "--progress", "plain", "build")
        run(f"making {', '.join(images)}", command, extra={"DOCKER_BUILDKIT": "1"})


def service(image: str, recipe: Recipe) -> dict[str, object]:
    """Return how Compose builds an image, as it would stand in a Compose file."""
    build: dict[str, object] = {
        "context": str(IMAGES / recipe.folder),
        "labels": {LABEL: digest(recipe.suite, recipe)},
    }
    if recipe.stage:
        build["target"] = recipe.stage
    return {"image": image, "build": build}


def base(suite: str) -> str:
    """Return the name of the Debian that other images start from."""
    return f"debian:{suite}-slim"


def base_is_missing(suite: str) -> bool:
    """Tell whether a base is not here, or was made here from something else than now."""
    name = base(suite)
    labelled = labels([name])
    return name not in labelled or labelled[name] not in {None, digest(suite)}


def build_base(suite: str) -> None:
    """Make a stand-in for the Debian that other images start from."""
    debian.require_debian()
    debian.update()
    debian.install("mmdebstrap", "debian-archive-keyring")
    with tempfile.TemporaryDirectory(prefix="herald-base-") as temporary:
        folder = Path(temporary)
        archive = folder / "base.tar"
        hooks = []
        for name, content in base_files().items():
            file = folder / Path(name).name
            file.write_bytes(content)
            file.chmod(0o644)
            hooks.append(f"--customize-hook=upload {file} {name}")
        source = f"deb {debian.mirror()} {suite} main"
        command = ("mmdebstrap", *BASE_OPTIONS, *hooks, suite, str(archive), source)
        run(f"making a stand-in for {base(suite)}", command)
        changes = (f"ENV SSL_CERT_FILE={machine.BUNDLE}", f"LABEL {LABEL}={digest(suite)}")
        options = [word for change in changes for word in ("--change", change)]
        run(f"importing {base(suite)}", ("docker", "import", *options, str(archive), base(suite)))


def base_files() -> dict[str, bytes]:
    """Return the files of this machine that the base image holds."""
    return {
        machine.BUNDLE: machine.certificates(),
        "/etc/pip.conf": machine.pip_configuration().encode(),
    }
