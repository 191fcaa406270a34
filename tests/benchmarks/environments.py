"""Environments with what a bot needs and nothing else: what the developer has installed weighs too.

Ours is made of the lock file that its image is made of. The peers' packages come in the versions
of the developer's lock file; they are installed for the benchmark only.
"""

import hashlib
import shutil
import sys
from functools import cache
from pathlib import Path

from infra.dev.environment import LOCK, ROOT, find_uv, run

FOLDER = ROOT / ".tools"
BOT_LOCK = ROOT / "services/tg_bot/requirements.txt"
PEERS = ("aiogram", "python-telegram-bot", "faststream[redis]")
ANSIBLE = "ansible-core"


@cache
def bot_python() -> Path:
    """Return the interpreter of an environment like the bot's image, made where it is missing."""
    venv = _make("bench-bot", BOT_LOCK.read_bytes(), "sync", "--require-hashes", str(BOT_LOCK))
    ours = ("./shared", "./services/tg_bot")
    fresh = ("--no-deps", "--no-build-isolation", "--offline", "--no-cache", "--reinstall")
    _pip(venv, "install", *fresh, *ours)
    return venv / "bin" / "python"


@cache
def peers_python() -> Path:
    """Return the interpreter of an environment with the peers, made where it is missing."""
    wanted = ("install", "--constraint", str(LOCK), *PEERS)
    return _make("bench-peers", LOCK.read_bytes(), *wanted) / "bin" / "python"


@cache
def ansible_playbook() -> Path:
    """Return the program of an environment with Ansible, made where it is missing."""
    return _make("bench-ansible", b"", "install", ANSIBLE) / "bin" / "ansible-playbook"


def _make(name: str, inputs: bytes, *command: str) -> Path:
    """Make one environment, whole or not at all."""
    digest = hashlib.sha256(inputs + sys.version.encode() + " ".join(command).encode())
    venv = FOLDER / f"{name}-{digest.hexdigest()[:12]}"
    done = venv / "done"
    if not done.is_file():
        shutil.rmtree(venv, ignore_errors=True)
        run(find_uv(), "venv", "--quiet", "--python", sys.executable, str(venv))
        _pip(venv, *command)
        done.touch()
    return venv


def _pip(venv: Path, verb: str, *rest: str) -> None:
    """Install into an environment; compiled, as in an image, so that no start pays for it."""
    quiet = ("--quiet", "--compile-bytecode", "--python", str(venv))
    run(find_uv(), "pip", verb, *quiet, *rest)
