"""Claims about finding an engine's processes."""

import os
from pathlib import Path

import pytest

from infra.engine import daemon


def own_name() -> str:
    """Return the name that the kernel has for this process."""
    return Path("/proc/self/comm").read_text().strip()


def test_a_pid_file_names_a_running_program(tmp_path: Path) -> None:
    """A process that runs, under the program's name, is the one."""
    file = tmp_path / "docker.pid"
    file.write_text(str(os.getpid()))
    assert daemon.running(file, own_name()) == os.getpid()


@pytest.mark.parametrize("content", ["", "none", "4194305", "1"])
def test_a_stale_pid_file_names_nobody(tmp_path: Path, content: str) -> None:
    """Neither rubbish, nor a number nobody has, nor another program's is the engine."""
    file = tmp_path / "docker.pid"
    file.write_text(content)
    assert daemon.running(file, "dockerd") is None
    assert daemon.running(tmp_path / "missing.pid", "dockerd") is None
