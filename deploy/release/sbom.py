"""The bill of materials of a release: what is in each image, as CycloneDX 1.6.

It is read out of the images, not out of lock files, so it holds for ready-made ones too
and has the packages of their Debian base.

Source: https://cyclonedx.org/docs/1.6/json/ and https://github.com/package-url/purl-spec
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from deploy.release.engine import docker
from infra.places.writing import write_file

LISTING = """
command -v dpkg-query >/dev/null && dpkg-query --show --showformat 'deb ${Package} ${Version}\\n'
python=/opt/venv/bin/python
[ -x $python ] && $python -c '
from importlib.metadata import distributions
for package in distributions():
    print("pypi", package.name, package.version)'
exit 0
"""
"""Prints one line a package: its type in a package URL, its name, its version."""


def bill_of_materials(project: str, release: str, images: Mapping[str, str], cache: Path) -> bytes:
    """Return the bill of materials of a release.

    Args:
        project: The stack's name.
        release: The release's name.
        images: Image id by service; each has to be on this machine. One without a shell is listed
            without its contents.
        cache: A folder that keeps the listing of each image: an id stands for its contents.
    """
    with ThreadPoolExecutor() as pool:
        listings = pool.map(lambda image: listing(image, cache), images.values())
    whole = Component(name=project, version=release, type=ComponentType.APPLICATION)
    containers = [
        Component(
            name=service,
            version=image,
            type=ComponentType.CONTAINER,
            bom_ref=service,
            components=packages(service, lines),
        )
        for (service, image), lines in zip(images.items(), listings, strict=True)
    ]
    bom = Bom(components=containers)
    bom.metadata.component = whole
    bom.register_dependency(whole, containers)
    for container in containers:
        bom.register_dependency(container, container.components)
    return JsonV1Dot6(bom).output_as_string(indent=1).encode()


def listing(image: str, cache: Path) -> str:
    """Return what an image holds, one line a package; empty where it has no shell to ask."""
    known = cache / image.removeprefix("sha256:")
    if known.is_file():
        return known.read_text(encoding="utf-8")
    command = ("docker", "run", "--rm", "--network=none", "--entrypoint=sh", image, "-c", LISTING)
    answer = docker(command, b"", verbose=False)
    if answer.returncode:
        return ""
    text = answer.stdout.decode()
    write_file(known, text)
    return text


def packages(service: str, lines: str) -> Iterable[Component]:
    """Return the packages of Debian and of Python that a listing names."""
    for kind, name, version in sorted({tuple(line.split(" ")) for line in lines.splitlines()}):
        yield Component(
            name=name,
            version=version,
            type=ComponentType.LIBRARY,
            bom_ref=f"{service}/{kind}/{name}",
            purl=PackageURL(kind, "debian" if kind == "deb" else None, name, version),
        )
