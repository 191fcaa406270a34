"""Ctrl-C and SIGTERM end a verb, whatever its greenlets are about just then."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_that_comes_while_a_host_is_begun_with_is_not_lost(
    tmp_path: Path, number: signal.Signals
) -> None:
    """A fork is under way then, which swallows an exception of a signal: tried several times."""
    key = tmp_path / "key"
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key), check=True)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        data = {
            "ssh_hostname": "127.0.0.1",
            "ssh_port": silent.getsockname()[1],
            "ssh_user": "root",
            "ssh_key": str(key),
            "ssh_known_hosts_file": str(tmp_path / "known_hosts"),
        }
        (tmp_path / "inventories").mkdir()
        (tmp_path / "inventories/staging.py").write_text(f"hosts = [('first', {data!r})]\n")
        for milliseconds in (0, 1, 2, 4, 8, 12):
            process = subprocess.Popen(
                (sys.executable, "-m", "deploy", "provision", "host=first"),
                cwd=ROOT,
                env={**os.environ, "HERALD_INVENTORIES": str(tmp_path)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            assert process.stdout is not None
            assert process.stdout.readline().startswith("looking"), process.communicate()[0]
            time.sleep(milliseconds / 1000)  # the fork is somewhere here
            process.send_signal(number)
            output = process.communicate()[0]
            assert process.returncode == 130, output
            assert output.startswith("herald: interrupted"), output
