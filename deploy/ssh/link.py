"""Execution on a host, over one SSH connection that commands share."""

import json
import os
import select
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, Any, Self

from paramiko import Channel
from paramiko.channel import ChannelFile, ChannelStdinFile
from pyinfra.api.host import Host as PyinfraHost

from deploy.errors import DeployError, RemoteError
from deploy.inventory import Host
from deploy.ssh import commands
from deploy.ssh.bundle import agent, digest
from deploy.ssh.connection import Connection

Say = Callable[[str], None]
"""Tells people a line."""
LOST = -1
"""What paramiko calls the exit code of a command whose connection, or channel, is gone."""


class Link:
    """One host. Leaving the context closes the connection, unless pyinfra has made it."""

    def __init__(self, host: Host, pyinfra_host: PyinfraHost | None = None) -> None:
        self.host = host
        self._connection = Connection(host, pyinfra_host)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def start(self, script: str) -> "Running":
        """Start shell text on the host; the caller writes its input and reads its output.

        Raises:
            ConnectionLostError: The host cannot be reached.
        """
        return Running(self, self._connection.start(script))

    def run(self, script: str, stdin: bytes = b"") -> str:
        """Run shell text and return what it printed.

        Raises:
            ConnectionLostError: The host cannot be reached.
            RemoteError: The command failed; the message is what it said.
        """
        running = self.start(script)
        # Beside the reading: a command may stop to read where nobody takes what it says.
        threading.Thread(target=running.write, args=(stdin,), daemon=True).start()
        output = running.output.read()
        running.finish()
        return output.decode(errors="replace")

    def stream(self, script: str, say: Say, until_closed: int | None = None) -> int:
        """Run shell text, pass on each line of both outputs as it comes; return the exit code.

        Args:
            script: The shell text.
            say: What each line is given to.
            until_closed: A file whose end is that of the command's input; without, it has none.

        Raises:
            ConnectionLostError: The host cannot be reached, or no more.
        """
        running = self.start(script)
        running.channel.set_combine_stderr(True)
        if until_closed is None:
            running.input.close()
        else:
            given = (until_closed, running.input)
            threading.Thread(target=close_with, args=given, daemon=True).start()
        for line in running.output:
            say(line.decode(errors="replace").rstrip("\n"))
        code, words = running.wait()
        if code == LOST:
            raise self.failure(code, words)
        return code

    def failure(self, code: int, words: str) -> DeployError:
        """Return the error for a failed command."""
        lines = words.strip().splitlines()
        if code == LOST:
            return self._connection.lost(lines[-1] if lines else "the connection was lost")
        return RemoteError(lines[-1] if lines else "it said nothing", code)

    def agent(self, *words: str, stdin: bytes = b"", first: str = "") -> str:
        """Run the agent once; it leaves nothing behind. `first` is shell text to run before."""
        program = agent()
        script = first + commands.agent_once(self.host, f"head -c {len(program)}", words)
        return self.run(script, program + stdin)

    def status(self, project: str, *, first: str = "") -> dict[str, Any]:
        """Return what runs on the host."""
        answer = self.agent("status", "--project", project, first=first)
        status: dict[str, Any] = json.loads(answer)
        return status

    def install_agent(self) -> None:
        """Put the agent on the host, for what has to outlive the connection."""
        program = agent()
        self.run(commands.agent_install(self.host, digest(program)), program)

    def agent_stream(self, words: Sequence[str], say: Say) -> int:
        """Run the agent that was installed and pass on what it says; return its exit code."""
        return self.stream(commands.agent_stays(self.host, digest(agent()), words), say)


class Running:
    """A command under way on the host.

    Attributes:
        input: What the command reads; closing it is the end of its input.
        output: What the command prints.
    """

    def __init__(self, link: Link, channel: Channel) -> None:
        self.link, self.channel = link, channel
        self.input: ChannelStdinFile = channel.makefile_stdin("wb")
        self.output: ChannelFile = channel.makefile("rb")

    def write(self, content: bytes) -> None:
        """Give the command its whole input; one that ends before it has read all says why."""
        try:
            self.input.write(content)
        except OSError:
            return
        self.input.close()

    def wait(self) -> tuple[int, str]:
        """Return the exit code and what came as errors; its output has to be read by then."""
        self.channel.shutdown_write()
        words = self.channel.makefile_stderr("rb").read().decode(errors="replace")
        code = self.channel.recv_exit_status()
        self.channel.close()
        return code, words

    def finish(self) -> None:
        """Return when the command has ended well.

        Raises:
            ConnectionLostError: The connection was lost.
            RemoteError: The command failed; the message is what it said.
        """
        code, words = self.wait()
        if code:
            raise self.link.failure(code, words)


def close_with(file: int, target: ChannelStdinFile) -> None:
    """Close a command's input once a file has come to its end."""
    while True:
        select.select([file], [], [])  # a read would keep the other greenlets from running
        if not os.read(file, 1 << 16):
            break
    with suppress(OSError):
        target.close()


def pump(source: IO[bytes], target: ChannelStdinFile, progress: Callable[[int], None]) -> None:
    """Copy a stream to a command's input and close it; `progress` hears of the bytes so far."""
    total = 0
    while chunk := source.read(1 << 18):
        target.write(chunk)
        total += len(chunk)
        progress(total)
    target.close()
