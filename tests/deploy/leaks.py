"""The hunt for secrets that are where they do not belong; none is ever put into an argument."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from tests.deploy.server import Server

# Reads the secrets, the folders to watch and the folders to read from its input, one JSON line;
# samples until its input ends; then says where it found what. Arguments are everybody's to read;
# the environment of a container's own process is as closed as its secret files are (the official
# image of PostgreSQL puts its password there), so that only the host's processes are asked for it.
SAMPLER = r"""
import glob, json, os, sys, threading
asked = json.loads(sys.stdin.readline())
secrets = [secret.encode() for secret in asked["secrets"]]
places, over, samples = set(), threading.Event(), 0
threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
def content(path):
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20)
    except OSError:
        return b""
def of_host(pid):
    try:
        return os.readlink(f"/proc/{pid}/ns/pid") == os.readlink("/proc/self/ns/pid")
    except OSError:
        return False
def files(patterns):
    for pattern in patterns:
        for top in glob.glob(pattern):
            yield from [top] if os.path.isfile(top) else (
                os.path.join(folder, name) for folder, _, names in os.walk(top) for name in names)
while not over.wait(0.02):
    samples += 1
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for what in ("cmdline", "environ") if of_host(pid) else ("cmdline",):
            text = content(f"/proc/{pid}/{what}")
            if any(secret in text for secret in secrets):
                places.add(f"{what} of {content(f'/proc/{pid}/comm').decode().strip()}")
    for path in files(asked["closed"]):
        try:
            mode = os.stat(path).st_mode & 0o777
        except OSError:
            continue
        if mode & 0o077:
            places.add(f"mode {mode:o} of {path}")
    for path in files(asked["read"]):
        if any(secret in content(path) for secret in secrets):
            places.add(f"content of {path}")
print(json.dumps({"samples": samples, "places": sorted(places)}))
"""
PLACES = "/etc /home /mnt /opt /root /run /srv /tmp /usr/local /var"
# What Docker knows, and what was logged; the rest are files.
KNOWN_TO = {
    "docker inspect": "docker inspect $(docker ps -aq)",
    "docker image inspect": "docker image inspect $(docker images -aq)",
    "docker history": 'for i in $(docker images -aq); do docker history --no-trunc "$i"; done',
    "docker logs": 'for c in $(docker ps -aq); do docker logs "$c" 2>&1; done',
    "docker volume inspect": "docker volume inspect $(docker volume ls -q)",
    "journal": "journalctl --no-pager --output json --all",
}
BELONGS = "/srv/herald/secrets/"


@dataclass(frozen=True)
class Watched:
    """What a sampler looks at besides every process: patterns of paths.

    Attributes:
        closed: Nobody but the owner may ever read these files.
        read: No secret may be in these files, not for a moment.
    """

    closed: Sequence[str] = ()
    read: Sequence[str] = ()


class Sampler:
    """Looks at every process and some files, again and again, inside the context."""

    def __init__(self, secrets: Sequence[str], watched: Watched, server: Server | None) -> None:
        enter = ("docker", "exec", "--interactive", server.id) if server else ()
        python = "python3" if server else sys.executable
        self._command = (*enter, python, "-c", SAMPLER)
        self._asked = {"secrets": secrets, "closed": watched.closed, "read": watched.read}
        self.places: list[str] = []

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, text=True)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(self._asked) + "\n")
        self._process.stdin.flush()
        return self

    def __exit__(self, *error: object) -> None:
        output, _ = self._process.communicate()
        result = json.loads(output)
        assert result["samples"] > 1
        self.places = result["places"]


def on_server(server: Server, secrets: Sequence[str]) -> list[str]:
    """Return where on a server a secret is that does not belong there."""
    search = f"grep -rlaF -D skip -f - {PLACES} 2>/dev/null || true"
    command = ("docker", "exec", "--interactive", server.id, "sh", "-c", search)
    patterns = "\n".join(secrets) + "\n"
    output = subprocess.run(command, input=patterns, capture_output=True, text=True, check=True)
    places = [path for path in output.stdout.splitlines() if not path.startswith(BELONGS)]
    for name, script in KNOWN_TO.items():
        text = server.sh(script)
        assert text
        places += [name for secret in secrets if secret in text]
    return sorted(set(places))


def in_text(text: str, secrets: Sequence[str]) -> list[str]:
    """Return the secrets that are in a text, by number: a failing test is not to print them."""
    return [f"secret {number}" for number, secret in enumerate(secrets) if secret in text]
