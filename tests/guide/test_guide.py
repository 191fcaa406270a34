"""Who follows docs/GUIDE.md from its first line to its last gets what it says."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.server import Server
from tests.guide.blocks import Block, BlockError, blocks, change, missing, write
from tests.processes import TOKEN

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "GUIDE.md"
ADDRESS = "https://git.example.org/herald.git"
"""Where the guide has its reader clone from."""
SERVER = '"ssh_hostname": "shop.example.org", "ssh_key": "~/.ssh/id_ed25519"'
"""The reader's server, in the inventory."""
WITHIN = 600
"""Seconds that one block may take."""

log = logging.getLogger(__name__)


@pytest.fixture
def herald(tmp_path: Path) -> Path:
    """A repository with this working tree in it."""
    folder = tmp_path / "herald"
    folder.mkdir()
    listing = subprocess.check_output(
        ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"), cwd=ROOT
    )
    names = [name for name in listing.decode().split("\0") if name and (ROOT / name).exists()]
    archive = subprocess.run(
        ("tar", "--create", "--null", "--files-from=-"),
        cwd=ROOT,
        input="\0".join(names).encode(),
        capture_output=True,
        check=True,
    )
    subprocess.run(("tar", "--extract"), cwd=folder, input=archive.stdout, check=True)
    for command in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "Herald")):
        subprocess.run(("git", *command), cwd=folder, env=environment(folder), check=True)
    return folder


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that the reader has."""
    engine = (sys.executable, "-m", "infra.engine", "--server")
    subprocess.run(engine, cwd=ROOT, check=True)
    with Server(tmp_path / "server") as running:
        yield running


def environment(herald: Path) -> dict[str, str]:
    """Return a reader's environment, in which the guide's address is that of a repository."""
    gone = {"VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL", "CI"}
    kept = {name: value for name, value in os.environ.items() if name not in gone}
    named = {
        f"GIT_{who}_{what}": "reader@example.org"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    return {
        **kept,
        **named,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{herald}.insteadOf",
        "GIT_CONFIG_VALUE_0": ADDRESS,
        "COLUMNS": "200",
        "HERALD_AGE_KEY": str(herald.parent / "age.key"),
        "TOKEN": TOKEN,
    }


@pytest.mark.timeout(2400)
def test_every_block_works(herald: Path, server: Server, tmp_path: Path) -> None:
    """Each command succeeds and prints what stands below it; each change has its place."""
    project, printed = tmp_path, ""
    guide = GUIDE.read_text(encoding="utf-8").replace(SERVER, at(server))
    for block in blocks(guide):
        log.info("%s:%d %s %s", GUIDE.name, block.line, block.language, block.file)
        match block.language:
            case "sh":
                if "git pull" in block.content:
                    go_on(herald)
                printed = run(block, project, environment(herald))
                if project == tmp_path:
                    project = tmp_path / "shop"
            case "text":
                if lines := missing(block, printed):
                    raise BlockError(f"line {block.line}: not printed: {lines}\n{printed}")
            case "diff":
                change(block, project)
            case _:
                write(block, project)

    assert (project / "NEWS").exists(), "the update has brought nothing"


def at(server: Server) -> str:
    """Return how the inventory names a server."""
    return (
        f'"ssh_hostname": "127.0.0.1", "ssh_port": {server.port}, "ssh_user": "root", '
        f'"ssh_key": "{server.key}", "ssh_known_hosts_file": "{server.known_hosts}"'
    )


def go_on(herald: Path) -> None:
    """Have Herald make a change of its own meanwhile."""
    (herald / "NEWS").write_text("There is news.\n")
    for command in (("add", "NEWS"), ("commit", "-q", "-m", "News")):
        subprocess.run(("git", *command), cwd=herald, env=environment(herald), check=True)


def run(block: Block, folder: Path, env: dict[str, str]) -> str:
    """Type a block's commands; return what they print."""
    done = subprocess.run(
        ("bash", "-euo", "pipefail", "-c", block.content),
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=WITHIN,
    )
    if done.returncode:
        raise BlockError(f"line {block.line}: exit code {done.returncode}\n{done.stdout}")
    return done.stdout
