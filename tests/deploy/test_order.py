"""What can be refused here, or by one look at a server, is refused before the first build.

Docker's client of this machine is behind a program that writes down each call.
"""

import json
import os
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from tests.deploy.project import HOST, Project
from tests.servers import free_port

WRAPPER = """\
#!/bin/sh
echo "$@" >>{calls}
exit 1
"""


class Nobody:
    """A server that is not there."""

    def __init__(self, folder: Path) -> None:
        self.key, self.known_hosts = folder / "id", folder / "known_hosts"
        self.port = free_port()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A clone with secrets, a server that is away, and a Docker that is watched."""
    made = Project(tmp_path, "http://127.0.0.1:1")
    made.servers["server"] = Nobody(tmp_path)  # type: ignore[assignment]
    (tmp_path / "bin").mkdir()
    docker = tmp_path / "bin/docker"
    docker.write_text(WRAPPER.format(calls=tmp_path / "calls"))
    docker.chmod(0o755)
    made.variables["PATH"] = f"{docker.parent}{os.pathsep}{os.environ['PATH']}"
    made.inventory()
    made.set_secrets()
    return made


def calls(project: Project) -> list[str]:
    """Return how Docker was called."""
    path = project.folder / "calls"
    return path.read_text().splitlines() if path.exists() else []


def without_secrets(project: Project) -> Sequence[str]:
    """The token was never set."""
    (project.folder / "vault/staging.age").unlink()
    return ()


def unknown_setting(project: Project) -> Sequence[str]:
    """A setting of the inventory has no reader."""
    project.settings["LOG_LEVL"] = "DEBUG"
    return ()


def damaged_backup(project: Project) -> Sequence[str]:
    """The backup that a new server is to start with is not whole."""
    folder = project.folder / "backup"
    folder.mkdir()
    facts = {"at": "2026-01-01T03:00:00Z", "files": {"redis.rdb": sha256(b"x").hexdigest()}}
    (folder / "backup.json").write_text(json.dumps(facts))
    return (f"from={folder}",)


def bad_registry(project: Project) -> Sequence[str]:
    """REGISTRY is an address with a scheme."""
    project.variables["REGISTRY"] = "https://registry"
    return ()


def no_zstd(project: Project) -> Sequence[str]:
    """Images are sent with zstd, which this machine has not."""
    git = project.folder / "bin/git"
    git.symlink_to(
        next(
            Path(folder, "git")
            for folder in os.environ["PATH"].split(os.pathsep)
            if Path(folder, "git").exists()
        )
    )
    project.variables["PATH"] = str(git.parent)
    return ()


def dirty(project: Project) -> Sequence[str]:
    """Something is not committed."""
    (project.checkout / "left over").touch()
    return ()


def away(_project: Project) -> Sequence[str]:
    """Nothing is wrong here, but the server does not answer."""
    return ()


REFUSALS: list[tuple[Callable[[Project], Sequence[str]], int, str]] = [
    (without_secrets, 78, "make secrets env=staging set=TELEGRAM_BOT_TOKEN"),
    (unknown_setting, 78, "LOG_LEVL is read by no service"),
    (damaged_backup, 65, "redis.rdb is damaged"),
    (bad_registry, 78, "REGISTRY is 'https://registry'"),
    (no_zstd, 69, "zstd is missing on this machine"),
    (dirty, 65, "the checkout is dirty"),
    (away, 69, "cannot be reached"),
]


@pytest.mark.parametrize(
    ("wrong", "exit_code", "line"), REFUSALS, ids=[case[0].__name__ for case in REFUSALS]
)
def test_a_deploy_that_is_refused_has_built_nothing(
    project: Project, wrong: Callable[[Project], Sequence[str]], exit_code: int, line: str
) -> None:
    """One line, and Docker was not even asked which images there are."""
    words = wrong(project)
    code, output = project.run("deploy", HOST, *words)
    assert (code, line in output, len(output.splitlines())) == (exit_code, True, 1), output
    assert calls(project) == []


@pytest.mark.parametrize(
    ("service", "line"),
    [("backnd", "did you mean 'backend'?"), ("telegram_sim", "no service is called")],
)
@pytest.mark.parametrize("words", [("logs",), ("exec", "command=true")], ids=["logs", "exec"])
def test_a_misspelt_service_is_told_without_a_server(
    project: Project, words: tuple[str, ...], service: str, line: str
) -> None:
    """The server, which is away here, is not asked; the simulator never is on one."""
    code, output = project.run(words[0], HOST, f"service={service}", *words[1:])
    assert (code, line in output) == (64, True), output
    code, output = project.run(words[0], HOST, "service=redis", *words[1:])
    assert "cannot be reached" in output
