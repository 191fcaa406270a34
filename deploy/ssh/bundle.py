"""The agent as one file, and a release as one archive; the same input makes the same bytes."""

import functools
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
AGENT = ROOT / "deploy/agent"
KEYS = ROOT / "shared/src/shared/keys.py"
"""What the services call their keys in Redis; it needs nothing but Python either."""
ENTRY = "import sys\nfrom deploy.agent.__main__ import main\nsys.exit(main())\n"
EPOCH = (1980, 1, 1, 0, 0, 0)


@functools.cache
def agent() -> bytes:
    """Return the agent as a Python zip application."""
    files = {"__main__.py": ENTRY, "deploy/__init__.py": "", "shared/__init__.py": ""}
    files["shared/keys.py"] = KEYS.read_text(encoding="utf-8")
    for path in sorted(AGENT.rglob("*.py")):
        files[path.relative_to(ROOT).as_posix()] = path.read_text(encoding="utf-8")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def digest(content: bytes) -> str:
    """Return a short name for some bytes."""
    return hashlib.sha256(content).hexdigest()[:12]


def archive(files: Mapping[str, bytes]) -> bytes:
    """Return files as a .tar.gz."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
