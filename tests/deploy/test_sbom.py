"""Claims about a release's bill of materials."""

import json
import subprocess
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy.release.sbom import bill_of_materials


def image_of(name: str) -> str:
    """Return the id of an image of this machine."""
    command = ("docker", "image", "inspect", "--format", "{{.Id}}", name)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_bill_lists_what_an_image_holds(tmp_path: Path) -> None:
    """Debian's packages and Python's, each with a package URL, in a document that is CycloneDX."""
    image = image_of("python:3.13-slim")
    images = {"bot": image}
    text = bill_of_materials("herald", "20261125T000000Z-abc", images, tmp_path).decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    assert document["metadata"]["component"]["name"] == "herald"
    (container,) = document["components"]
    assert (container["name"], container["version"]) == ("bot", image)
    urls = {package["purl"] for package in container["components"]}
    assert any(url.startswith("pkg:deb/debian/libc6@") for url in urls)
    assert len(urls) > 50
