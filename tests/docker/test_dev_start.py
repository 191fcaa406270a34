"""`make dev-start` at a terminal: what is saved runs, in containers that nobody can write into."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.terminal import Terminal, opened

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path("services/telegram_sim/src/telegram_sim")
DECLARED = """version: 1
project: herald_dev_start
services:
  - name: telegram_sim
    type: python
    description: An offline Telegram.
    port: 8081
    health: {http: /health}
    data: /data
    env:
      SIM_HOST: {from: self.bind, description: Address to listen on.}
      SIM_PORT: {from: self.port, description: Port to listen on.}
      SIM_STATE: {from: self.data, path: sim.db, description: Where it keeps chats.}
      SIM_TOKENS: {default: "", description: Tokens that are accepted.}
      SIM_NAMES: {default: "", description: Names that it is served under.}
      SIM_ORIGINS: {default: "", description: Origins that may use it.}
      SIM_FRAMES: {default: "", description: Origins that may frame its page.}
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A project with one service; its containers and volumes are gone at the end."""
    listed = subprocess.check_output(("git", "ls-files", "-z"), cwd=ROOT, text=True)
    for name in listed.split("\0"):
        if name.startswith(("services/telegram_sim/", "services/Dockerfile", "shared/", "infra/")):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / name)
    for name in (".dockerignore", ".env.example.jinja"):
        shutil.copy2(ROOT / name, tmp_path / name)
    (tmp_path / "services.yml").write_text(DECLARED)
    subprocess.run((sys.executable, "-m", "infra.stack", "sync"), cwd=tmp_path, check=True)
    yield tmp_path
    compose(tmp_path, "down", "--volumes", "--rmi", "local", "--timeout", "2")


def compose(project: Path, *arguments: str) -> str:
    """Run a Compose command on the project's stack; return what it prints."""
    files = ("-f", "infra/compose.base.yml", "-f", "infra/compose.dev.yml")
    command = ("docker", "compose", "--project-directory", ".", *files, *arguments)
    return subprocess.run(command, cwd=project, check=True, capture_output=True, text=True).stdout


def greeting(project: Path) -> str:
    """Return what the code in the container says of itself."""
    ask = ("python", "-c", "import telegram_sim; print(telegram_sim.__doc__)")
    return compose(project, "exec", "-T", "telegram_sim", *ask)


@pytest.mark.timeout(300)  # five builds and starts, beside another suite
def test_a_save_starts_its_service_again(project: Path) -> None:
    """What is saved runs, .env too; what cannot run shows its last lines, and a save mends it."""
    with opened() as (controller, end):
        command = (sys.executable, "-m", "infra.dev.compose", "start")
        env = {**os.environ, "TERM": "dumb", "COMPOSE_PROFILES": ""}
        streams = {"stdin": end, "stdout": end, "stderr": end}
        with subprocess.Popen(command, cwd=project, env=env, text=True, **streams) as program:  # type: ignore[call-overload]
            terminal = Terminal(program, controller)
            try:
                terminal.read_until("a save builds and starts its service anew")
                (project / PACKAGE / "__init__.py").write_text('"""Saved once."""\n')
                terminal.read_until("telegram_sim runs again after")
                assert greeting(project) == "Saved once.\n"
                (project / PACKAGE / "__init__.py").write_text(
                    'raise ValueError("half a thought")\n'
                )
                terminal.read_until("ValueError: half a thought")
                (project / PACKAGE / "__init__.py").write_text('"""Saved again."""\n')
                terminal.read_until("telegram_sim runs again after")
                assert greeting(project) == "Saved again.\n"
                with (project / ".env").open("a") as file:
                    file.write("SIM_NAMES=saved\n")
                terminal.read_until(": .env")
                shown = compose(project, "exec", "-T", "telegram_sim", "printenv", "SIM_NAMES")
                assert shown == "saved\n"
                program.send_signal(signal.SIGINT)
                assert program.wait(30) == os.EX_OK
            finally:
                program.kill()
    assert "telegram_sim" in compose(project, "ps", "--services"), "the stack goes on"
