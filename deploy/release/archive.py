"""Images as one compressed stream, without the layers that a host has already.

Of an upgrade that is nearly all of it: only the layers with our sources are new. `docker image
load` reads a layer from the archive only where it has none like it on the same ones below.

Source: github.com/moby/moby, image/tarexport/load.go. An engine that keeps its images in containerd
reads every layer, and gets every layer.
"""

import json
import posixpath
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

from deploy.errors import UnavailableError
from deploy.ssh import commands

FAILED = "docker image save failed on this machine"
Layers = Sequence[str]
"""What tells an image's layers from others by their contents, the lowest first."""
KNOWN_LAYERS = """\
case "$(docker info --format '{{.DriverStatus}}')" in *io.containerd*) exit 0 ;; esac
docker images -q --no-trunc | sort -u |
    xargs -r docker image inspect --format '{{json .RootFS.Layers}}'
"""
"""Prints the layers of each image of a host, one line an image."""


def layers_of_images(lines: str) -> list[Layers]:
    """Return what KNOWN_LAYERS has printed."""
    return [json.loads(line) or [] for line in lines.splitlines()]


@contextmanager
def compressed(images: Sequence[str], known: Sequence[Layers]) -> Iterator[IO[bytes]]:
    """Yield the archive of some images; whoever stops reading it ends what writes it.

    Args:
        images: Their ids; they are on this machine.
        known: The layers of each image that the host has; without any the archive is whole.

    Raises:
        UnavailableError: Docker cannot save them, or there is no room for them here.
    """
    pipe = subprocess.PIPE
    with (
        tempfile.TemporaryFile() as rest,
        subprocess.Popen(commands.save_images(images), stdout=pipe) as save,
    ):
        whole = _opened(save.stdout)
        try:
            if known:
                leave_out(whole, rest, known)
        except tarfile.TarError:
            raise UnavailableError(FAILED) from None
        except OSError as error:
            folder = tempfile.gettempdir()
            raise UnavailableError(f"no image fits into {folder}: {error.strerror}") from None
        source = rest if known else whole
        with subprocess.Popen(commands.compress(), stdin=source, stdout=pipe) as shrink:
            whole.close()
            yield _opened(shrink.stdout)
    if save.returncode or shrink.returncode:
        raise UnavailableError(FAILED)


def leave_out(whole: IO[bytes], rest: IO[bytes], known: Sequence[Layers]) -> None:
    """Copy an archive of images to a file, but for the layers that are known in their place."""
    with tempfile.TemporaryFile() as spool:
        shutil.copyfileobj(whole, spool)
        spool.seek(0)
        with (
            tarfile.open(fileobj=spool, mode="r:") as archive,
            tarfile.open(fileobj=rest, mode="w:") as copy,
        ):
            unsent = known_members(archive, known)
            for member in archive:
                if member.name not in unsent:
                    copy.addfile(member, archive.extractfile(member) if member.isreg() else None)
    rest.seek(0)


def known_members(archive: tarfile.TarFile, known: Sequence[Layers]) -> set[str]:
    """Return the members that are layers which the host has, wherever the archive means them."""
    unsent: set[str] = set()
    sent: set[str] = set()
    for image in _json(archive, "manifest.json"):
        layers: Layers = _json(archive, image["Config"])["rootfs"]["diff_ids"]
        number = max(common(layers, there) for there in known)
        unsent |= set(image["Layers"][:number])
        sent |= set(image["Layers"][number:])
    links = [member for name in sent if (member := archive.getmember(name)).issym()]
    for link in links:
        sent.add(posixpath.normpath(posixpath.join(posixpath.dirname(link.name), link.linkname)))
    return unsent - sent


def common(layers: Layers, others: Layers) -> int:
    """Return how many layers two images share, from the lowest one on."""
    pairs = list(zip(layers, others, strict=False))
    return next((n for n, (ours, theirs) in enumerate(pairs) if ours != theirs), len(pairs))


def _json(archive: tarfile.TarFile, name: str) -> Any:
    return json.load(_opened(archive.extractfile(name)))


def _opened(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise AssertionError("a stream was asked for")
    return stream
