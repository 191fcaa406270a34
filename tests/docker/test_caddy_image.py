"""Claims about caddy:2 that hold for the official image and its stand-in, and about ours of it.

Read in https://github.com/caddyserver/caddy-docker/tree/master/2.10/alpine
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.stack.compose.builds import INGRESS
from infra.stack.declared.defaults import READY
from tests.docker.containers import HARDENED, Engine, unique, until
from tests.docker.test_caddy import HOST, rendered

ROOT = Path(__file__).resolve().parents[2]
CADDY = READY["caddy"]
GUARDED = ("--user", CADDY.user, *HARDENED, "--tmpfs", "/tmp:mode=1777")  # noqa: S108 — the container's
# A first build of the image, beside another suite.
pytestmark = pytest.mark.timeout(300)


def test_caddy_may_bind_low_ports_and_a_wget_is_there(docker: Engine) -> None:
    """The file has a capability, so that who has none at all cannot run it."""
    assert docker.once("caddy:2", run=("caddy", "version")).startswith(("v2.", "2."))
    assert docker.once("caddy:2", run=("which", "wget")) == "/usr/bin/wget"
    refused = docker.command("run", "--rm", *GUARDED, "caddy:2", "caddy", "version")
    assert refused.returncode != 0


@pytest.fixture
def image(docker: Engine, tmp_path: Path) -> Iterator[str]:
    """Our image with what a stack of one bot renders."""
    context = tmp_path / "ingress"
    context.mkdir()
    file = rendered(tmp_path, "acme").read_text()
    (context / "Caddyfile").write_text(file.replace(str(tmp_path / "volume"), CADDY.data))
    (context / "Dockerfile").write_bytes((ROOT / INGRESS / "Dockerfile").read_bytes())
    name = unique()
    docker("build", "--quiet", "--target", "caddy", "--tag", name, str(context))
    yield name
    docker.clean()
    docker("image", "rm", "--force", name)


def test_ours_runs_without_rights_and_is_healthy(docker: Engine, image: str) -> None:
    """As nobody, read-only, without a capability, and its volume is its own."""
    volume = f"--volume={docker.volume()}:{CADDY.data}"
    options = (*GUARDED, volume, f"--env=WEBHOOK_DOMAIN={HOST}", "--network=none")
    container = docker.start(image, *options, run=CADDY.command)
    until(lambda: docker.command("exec", container, *CADDY.health).returncode == 0)
    docker.inside(container, "touch", f"{CADDY.data}/written")
