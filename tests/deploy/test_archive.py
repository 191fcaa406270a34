"""What of an archive of images is sent: every layer that the host lacks, and none that it has."""

import io
import json
import subprocess
import tarfile
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import IO

import pytest

from deploy.errors import UnavailableError
from deploy.release.archive import Layers, compressed, layers_of_images, leave_out

BASE, VENV, OURS = "sha256:base", "sha256:venv", "sha256:ours"


def archive(images: dict[str, dict[str, str]], links: dict[str, str] | None = None) -> bytes:
    """Return an archive in Docker's form: by image, what its layers are called, lowest first."""
    files = {}
    manifest = []
    for image, layers in images.items():
        files[f"{image}.json"] = json.dumps({"rootfs": {"diff_ids": list(layers)}})
        manifest.append({"Config": f"{image}.json", "Layers": list(layers.values())})
        files |= {name: f"contents of {layer}" for layer, name in layers.items()}
    files["manifest.json"] = json.dumps(manifest)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            if links and name in links:
                member.type, member.linkname = tarfile.SYMTYPE, links[name]
                tar.addfile(member)
            else:
                member.size = len(text)
                tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def sent(whole: bytes, *known: Layers) -> set[str]:
    """Return the layers that are sent; all else of the archive has to be."""
    rest = io.BytesIO()
    leave_out(io.BytesIO(whole), rest, known)
    with tarfile.open(fileobj=io.BytesIO(whole)) as before, tarfile.open(fileobj=rest) as after:
        left = set(before.getnames()) - set(after.getnames())
        for member in after:
            was = before.getmember(member.name)
            assert (member.size, member.linkname) == (was.size, was.linkname)
        assert not any(name.endswith("json") for name in left)
        return {name for name in after.getnames() if not name.endswith("json")}


def test_only_the_layers_above_the_known_ones_are_sent() -> None:
    """The host has the release before: its base and its packages."""
    image = archive({"bot": {BASE: "a/layer.tar", VENV: "b/layer.tar", OURS: "c/layer.tar"}})
    assert sent(image, [BASE, "sha256:other"], [BASE, VENV, "sha256:old"]) == {"c/layer.tar"}
    assert sent(image, ["sha256:other"]) == {"a/layer.tar", "b/layer.tar", "c/layer.tar"}


def test_a_layer_on_other_ones_is_sent_although_the_host_has_its_contents() -> None:
    """The engine knows a layer by all that is below it."""
    image = archive({"bot": {BASE: "a/layer.tar", OURS: "c/layer.tar"}})
    assert sent(image, [BASE, VENV, OURS]) == {"c/layer.tar"}


def test_what_one_image_needs_is_sent_although_another_does_not() -> None:
    """Two images of one archive share a file, or one's file is a link to the other's."""
    images = {"bot": {BASE: "a", OURS: "c"}, "backend": {VENV: "b", OURS: "c"}}
    assert sent(archive(images), [BASE, OURS]) == {"b", "c"}
    images = {"bot": {BASE: "1/a", OURS: "1/c"}, "backend": {VENV: "2/b", OURS: "2/c"}}
    links = {"2/c": "../1/c"}
    assert sent(archive(images, links), [BASE, OURS]) == {"1/c", "2/b", "2/c"}


def test_an_image_without_layers_is_known_for_nothing() -> None:
    """Docker says `null` of one that was made of nothing."""
    image = archive({"bot": {BASE: "a", OURS: "c"}})
    assert sent(image, *layers_of_images(f'null\n["{BASE}"]\n')) == {"c"}
    assert sent(image, *layers_of_images("null\n")) == {"a", "c"}


def test_a_machine_without_room_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole archive is put aside for a moment."""
    with Path("/dev/full").open("r+b", buffering=0) as full:
        monkeypatch.setattr(tempfile, "TemporaryFile", lambda: nullcontext(full))
        with (
            pytest.raises(UnavailableError, match=r"no image fits into /.*: No space left"),
            compressed([known_image()], [[BASE]]) as stream,
        ):
            stream.read()


def known_image() -> str:
    """Return the id of an image that is on this machine."""
    command = ("docker", "images", "-q", "--no-trunc", "debian:trixie-slim")
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_an_image_that_is_not_here_is_one_line() -> None:
    """With and without anything that the host has."""
    for known in ([], [[BASE]]):
        with (
            pytest.raises(UnavailableError, match="docker image save failed"),
            compressed(["sha256:none"], known) as stream,
        ):
            stream.read()


def test_whoever_stops_reading_is_not_waited_for() -> None:
    """The host's side says why; here nothing hangs, and nothing is left running."""
    with pytest.raises(BrokenPipeError), compressed([known_image()], []) as stream:
        gives_up(stream)


def gives_up(stream: IO[bytes]) -> None:
    """Read a little, and fail as a lost connection does."""
    assert len(stream.read(1000)) == 1000
    raise BrokenPipeError
