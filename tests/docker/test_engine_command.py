"""Claims about `make docker-engine`, infra.engine: what it leaves, says, and exits with."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.engine.report import ROOT
from infra.engine.stand_ins import RECIPES
from tests.docker.containers import Engine

COMMAND = (sys.executable, "-m", "infra.engine")
IMAGES = tuple(RECIPES)
PYTHON = IMAGES[0]


def run(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command here."""
    command, environment = (*COMMAND, *options), {**os.environ, **variables}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def elsewhere(docker: Engine, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command on a machine without Docker: a container that sees the repository."""
    mount = ("--volume", f"{ROOT}:/herald:ro", "--workdir", "/herald")
    engine = ("python3", "-m", "infra.engine")
    return docker.command("run", "--rm", *mount, *options, PYTHON, *engine)


def test_a_second_run_does_nothing(docker: Engine) -> None:
    """Where all is ready it says nothing and changes no image; a glance is all it takes."""
    first = run()
    assert first.returncode == os.EX_OK
    before = [docker("image", "inspect", "--format", "{{.Id}}", image) for image in IMAGES]
    started = time.monotonic()
    second = run()
    assert time.monotonic() - started < 10
    assert (second.returncode, second.stdout, second.stderr) == (os.EX_OK, "", "")
    assert before == [docker("image", "inspect", "--format", "{{.Id}}", image) for image in IMAGES]


def test_help_and_wrong_usage() -> None:
    """--help explains itself; an unknown option is exit code 64 and one line that names it."""
    shown = run("--help")
    assert shown.returncode == os.EX_OK
    for word in ("engine", *IMAGES, "--server", "/var/log/dockerd.log", "exit codes"):
        assert word in shown.stdout
    wrong = run("--nonsense")
    assert wrong.returncode == os.EX_USAGE
    assert "--nonsense" in wrong.stderr


def test_it_needs_root(docker: Engine) -> None:
    """Another user is told to be root, in one line, with exit code 77."""
    result = elsewhere(docker, "--user", "10001")
    assert result.returncode == os.EX_NOPERM
    assert result.stderr.splitlines()[-1].startswith("herald: ")
    assert "root" in result.stderr
    assert "Traceback" not in result.stderr


def test_it_needs_debian(docker: Engine, tmp_path: Path) -> None:
    """Another system is named, with what to install by hand, and exit code 69."""
    release = tmp_path / "os-release"
    release.write_text('ID=ubuntu\nPRETTY_NAME="Ubuntu 24.04 LTS"\n')
    release.chmod(0o644)
    result = elsewhere(docker, "--volume", f"{release}:/etc/os-release:ro")
    assert result.returncode == os.EX_UNAVAILABLE
    assert len(result.stderr.splitlines()) == 1
    assert "Ubuntu 24.04 LTS" in result.stderr
    assert "Compose v2" in result.stderr


def test_an_engine_elsewhere_is_not_replaced(docker: Engine) -> None:
    """A DOCKER_HOST that does not answer is a mistake to mend, no reason to install anything."""
    assert docker.image(PYTHON)
    result = run(DOCKER_HOST="tcp://127.0.0.1:1")
    assert result.returncode == os.EX_UNAVAILABLE
    assert "DOCKER_HOST" in result.stderr


def test_stand_ins_are_marked(docker: Engine) -> None:
    """An image made here says so; one without the mark is a real one, and is left alone."""
    for image in IMAGES:
        labels = docker.image(image).get("Labels") or {}
        marked = "herald.stand-in" in labels
        digests = json.loads(docker("image", "inspect", "--format", "{{json .RepoDigests}}", image))
        assert marked or digests, f"{image} is neither marked nor from a registry"


@pytest.mark.parametrize("image", IMAGES)
def test_no_image_is_left_out(docker: Engine, image: str) -> None:
    """All that our Dockerfiles and Compose files start from is here."""
    assert docker.command("image", "inspect", image).returncode == 0
