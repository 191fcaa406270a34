"""No secret is where it does not belong, from the bare server to a backup of its data."""

import json
import secrets as random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from deploy.release import checkout
from infra.stack.compose.secrets import contents
from tests.deploy.leaks import Sampler, Watched, in_text, on_server
from tests.deploy.project import HOST, Project
from tests.deploy.server import SYSTEMD, Server, docker
from tests.deploy.telegram import reachable_simulator

pytestmark = pytest.mark.timeout(900)
TEMPORARY = "/tmp"  # noqa: S108 - the server's
LEAK = f"{TEMPORARY}/leak"
THERE = Watched(
    closed=("/srv/herald/secrets", "/srv/herald/backups"), read=(TEMPORARY, f"/var{TEMPORARY}")
)


@pytest.fixture(scope="module")
def server(servers_can_be_made: None, folder: Path) -> Iterator[Server]:
    """A bare server with systemd, whose journal is searched too."""
    with Server(folder / "server", SYSTEMD) as server:
        yield server


@pytest.fixture(scope="module")
def project(folder: Path, server: Server) -> Iterator[Project]:
    """A clone with a token of its own, which nothing else on this machine knows."""
    with reachable_simulator(any_token=True) as telegram:
        made = Project(folder, telegram)
        made.servers["server"] = server
        made.settings["LOG_LEVEL"] = "DEBUG"
        temporary(folder).mkdir()
        made.variables["TMPDIR"] = str(temporary(folder))
        made.data = {"ssh_user": "deploy", "swap_megabytes": 0}
        made.inventory()
        made.set_secrets(
            f"{7_000_000_000 + random.randbelow(10**9)}:{random.token_urlsafe(27)[:35]}"
        )
        yield made


@pytest.fixture(scope="module")
def hidden(project: Project) -> list[str]:
    """Every secret there is: the token, all passwords and what is derived, both keys."""
    key = (project.folder / "age.key").read_text().splitlines()[-1]
    sealed = (project.folder / "vault/staging.age").read_bytes()
    identity = pyrage.x25519.Identity.from_str(key)
    plan = checkout.load()
    passwords = json.loads(pyrage.decrypt(sealed, [identity]))
    texts = {*passwords.values(), *contents(plan, passwords).values(), key}
    lines = [line.strip() for text in texts for line in text.splitlines()]
    return sorted(
        {line for line in lines if len(line) > 12 and not line.startswith("user default")}
    )


def test_no_secret_leaks_from_provision_to_backup(
    project: Project, server: Server, hidden: list[str], folder: Path
) -> None:
    """Neither into output, arguments, environments, temporary files, logs nor what Docker tells.

    All is done with verbose=1, or by pyinfra with all that it can say; the services log at DEBUG,
    and processes and file modes on both sides are looked at all the while.
    """
    assert len(hidden) >= 7
    output = ""
    ours = Watched(read=(str(temporary(folder)),))
    with Sampler(hidden, THERE, server) as there, Sampler(hidden, ours, None) as here:
        output += project.succeed("provision", HOST, "verbose=1")
        output += project.succeed("deploy", HOST, "verbose=1")
        project.settings["REPLIES_PER_SECOND"] = "20"
        for words in (("--dry", "--debug-operations"), ("-y", "--debug", "--debug-all")):
            code, said = project.pyinfra("release", "-vvv", *words)
            assert (code, "would release" in said, " runs (1 changed" in said) == (
                *(0, "--dry" in words),
                "-y" in words,
            ), said
            output += said
        output += project.succeed("backup", HOST, "verbose=1", f"to={folder / 'copies'}")
        for verb in ("status", "logs", "audit", "drift", "releases"):
            output += project.succeed(verb, HOST, "verbose=1")
    assert there.places == [], there.places
    assert here.places == [], here.places
    assert in_text(output, hidden) == []
    assert on_server(server, hidden) == []
    assert list(temporary(folder).iterdir()) == []
    copies = [path.read_bytes() for path in (folder / "copies").rglob("*") if path.is_file()]
    assert in_text(b"".join(copies).decode(errors="replace"), hidden) == []
    images = docker("images", "-q", "herald/*").split()
    assert in_text(docker("image", "inspect", *images), hidden) == []
    assert (
        in_text("".join(docker("history", "--no-trunc", image) for image in images), hidden) == []
    )


def test_secret_files_are_for_their_reader_alone(server: Server) -> None:
    """0400, owned by the user of the container that reads it, in a folder that is root's."""
    assert server.sh("stat -c '%a %U' /srv/herald/secrets").strip() == "700 root"
    modes = server.sh("stat -c '%a %u' /srv/herald/secrets/*").splitlines()
    assert len(modes) >= 7
    assert set(modes) == {"400 999", "400 10001"}


def test_the_hunt_finds_what_does_leak(project: Project, server: Server, hidden: list[str]) -> None:
    """One of the secrets on its way through arguments, output, a file, and Docker."""
    leaked = next(secret for secret in hidden if ":" in secret and secret[:10].isdecimal())
    image = server.sh("docker images -q herald/redis").split()[0]
    with Sampler(hidden, THERE, server) as there, Sampler(hidden, Watched(), None) as here:
        output = project.succeed(
            "exec", HOST, "service=redis", f"command=sleep 3; echo {leaked}", "verbose=1"
        )
        server.sh("umask 022; echo text >/srv/herald/secrets/open; sleep 2")
        server.sh(f"docker create --name leak --env TOKEN={leaked} {image}")
        server.sh(f"echo {leaked} >{LEAK}; logger -t leak {leaked}; sleep 2")
    assert len(in_text(output, hidden)) == 1
    assert "cmdline of python" in here.places
    assert {f"content of {LEAK}", "mode 644 of /srv/herald/secrets/open"} <= set(there.places)
    assert any(place.startswith("cmdline of ") for place in there.places)
    assert {"docker inspect", LEAK, "journal"} <= set(on_server(server, hidden))
    subprocess.run(("docker", "exec", server.id, "docker", "rm", "leak"), check=True)


def temporary(folder: Path) -> Path:
    """Return where the deployer puts what it needs for a moment."""
    return folder / "tmp"
