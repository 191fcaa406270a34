"""One SSH connection for all commands: as long as it lives, and what happens when it does not."""

import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.errors import ConnectionLostError, RemoteError
from deploy.inventory import Host
from deploy.ssh.link import Link
from tests.deploy.server import Server

pytestmark = pytest.mark.timeout(90)
WHICH = "echo $SSH_CONNECTION"
BLOCK = 1 << 16
PER_SECOND = 65_000


@pytest.fixture
def host(server: Server) -> Host:
    """The server as an inventory has it."""
    return Host(
        *("staging", "lab", "127.0.0.1"),
        port=server.port,
        user="root",
        key=str(server.key),
        known_hosts=str(server.known_hosts),
    )


@pytest.fixture
def link(host: Host) -> Iterator[Link]:
    """A link to the server."""
    with Link(host) as link:
        yield link


def test_all_commands_share_a_connection_until_it_is_lost(link: Link, server: Server) -> None:
    """The next command then makes a new one, and the one under way says that it was lost."""
    first = link.run(WHICH)
    assert link.run(WHICH) == first
    running = link.start("echo started; sleep 60")
    assert running.output.readline() == b"started\n"
    server.close_connections()
    with pytest.raises(ConnectionLostError, match=r"root@127.0.0.1:.* cannot be reached: "):
        running.finish()
    assert link.run(WHICH) != first


def test_a_command_that_fails_says_why_and_the_connection_goes_on(link: Link) -> None:
    """Its last line is the message and its exit code the error's; 255 is a code like any other."""
    first = link.run(WHICH)
    with pytest.raises(RemoteError, match=r"^it broke$") as error:
        link.run("echo first; echo it broke >&2; exit 255")
    assert error.value.code == 255
    # Megabytes that nobody reads do not hold it up.
    with pytest.raises(RemoteError, match=r"^no$"):
        link.run("echo no >&2; exit 3", bytes(8_000_000))
    lines: list[str] = []
    assert link.stream("echo out; echo err >&2; exit 7", lines.append) == 7
    assert sorted(lines) == ["err", "out"]
    assert link.run("cat", b"\0\xff" * 3_000_000) == "\0\ufffd" * 3_000_000
    assert link.run(WHICH) == first


@pytest.mark.parametrize("busy", [False, True], ids=["listening", "sending"])
def test_a_network_that_drops_everything_is_noticed(
    link: Link, server: Server, *, busy: bool
) -> None:
    """Though TCP itself would wait for many minutes; afterwards the link works again.

    What connects us to the container acknowledges everything: no time limit of TCP's would help.
    """
    running = link.start("cat >/dev/null" if busy else "sleep 600")
    with server.black_hole():
        while busy:
            try:
                running.input.write(bytes(BLOCK))
            except OSError:
                break
        with pytest.raises(ConnectionLostError, match="the connection was lost"):
            running.finish()
    assert link.run("echo again") == "again\n"


def test_a_slow_line_is_no_silent_one(link: Link, host: Host) -> None:
    """The answer to whether the host is there waits behind everything that is being sent."""
    with slow_line(host.port) as port, Link(replace(host, port=port)) as slow:
        content = bytes(30 * PER_SECOND)
        assert slow.run("wc -c", content) == f"{len(content)}\n"


@contextmanager
def slow_line(port: int) -> Iterator[int]:
    """Pass bytes on to a port, slowly but never losing any; the value is where they come from."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        threading.Thread(target=pass_on, args=(listener, port), daemon=True).start()
        yield int(listener.getsockname()[1])


def pass_on(listener: socket.socket, port: int) -> None:
    """Serve one connection: what goes to the port is slow, what comes from it is not."""
    with listener.accept()[0] as near, socket.create_connection(("127.0.0.1", port)) as far:

        def back() -> None:
            with suppress(OSError):
                while data := far.recv(BLOCK):
                    near.sendall(data)

        thread = threading.Thread(target=back, daemon=True)
        thread.start()
        with suppress(OSError):  # either side may hang up on what it has not read
            while data := near.recv(PER_SECOND // 10):
                time.sleep(len(data) / PER_SECOND)
                far.sendall(data)
        with suppress(OSError):
            far.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_host_whose_key_is_another_is_refused(host: Host, server: Server, tmp_path: Path) -> None:
    """By the process that has just learnt the first key, too: it may be somebody else's server."""
    folder, keep = "/etc/ssh", "/etc/ssh/keep"
    known = tmp_path / "new/known_hosts"
    link = Link(replace(host, known_hosts=str(known)))
    link.run("true")
    assert re.match(r"\[127\.0\.0\.1\]:\d+ ", known.read_text())
    server.sh(f"mkdir {keep}; cp {folder}/ssh_host_* {keep}; rm {folder}/ssh_host_*; ssh-keygen -A")
    restart = "pkill -KILL sshd; while pgrep -x sshd; do sleep 0.1; done; /usr/sbin/sshd"
    server.sh(restart)
    try:
        with pytest.raises(ConnectionLostError, match="SSH host key error"):
            link.run("true")
    finally:
        server.sh(f"mv {keep}/* {folder}; rmdir {keep}; {restart}")
    with link:
        assert link.run("echo mine") == "mine\n"


def test_a_key_that_needs_a_passphrase_comes_from_the_agent(
    host: Host, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is asked for it; without an agent that has it the refusal names the file."""
    key = tmp_path / "encrypted"
    shutil.copy(server.key, key)
    shutil.copy(server.key.with_suffix(".pub"), key.with_suffix(".pub"))
    encrypted = replace(host, key=str(key), data={"ssh_key": str(key)})
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    started = subprocess.run(
        ("ssh-agent", "-a", tmp_path / "agent"), capture_output=True, check=True
    )
    try:
        subprocess.run(("ssh-add", "-q", key), check=True)
        subprocess.run(("ssh-keygen", "-q", "-p", "-N", "a phrase", "-f", key), check=True)
        with Link(encrypted) as link:
            assert link.run("echo in") == "in\n"
    finally:
        os.kill(int(re.findall(rb"SSH_AGENT_PID=(\d+)", started.stdout)[0]), 15)
    monkeypatch.delenv("SSH_AUTH_SOCK")
    with (
        Link(encrypted) as link,
        pytest.raises(ConnectionLostError, match=key.name),
    ):
        link.run("true")
