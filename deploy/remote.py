"""Execution on a host, over one SSH connection that commands share."""

import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from deploy import commands
from deploy.errors import DeployError, RemoteError, UnavailableError
from deploy.inventory import Host
from deploy.release.bundle import agent, digest

LOST = 255
"""The exit code with which ssh says that the connection, not the command, has failed."""


class ConnectionLostError(UnavailableError):
    """SSH could not connect, or lost the connection."""


class Remote:
    """One host. Leaving the context closes the connection."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._folder = tempfile.TemporaryDirectory(prefix="herald-ssh-")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # ssh -O exit ends the shared connection; where there is none it fails, which is as good.
        command = commands.ssh(self.host, "", self._control)
        end = [*command[:1], "-O", "exit", *command[1:-1]]
        subprocess.run(end, capture_output=True, check=False)
        self._folder.cleanup()

    @property
    def _control(self) -> str:
        return str(Path(self._folder.name, "control"))

    def command(self, script: str) -> list[str]:
        """Return the local command that runs shell text on the host."""
        return commands.ssh(self.host, script, self._control)

    def run(self, script: str, stdin: bytes = b"") -> str:
        """Run shell text and return what it printed.

        Raises:
            ConnectionLostError: The host cannot be reached.
            RemoteError: The command failed; the message is what it said.
        """
        result = subprocess.run(self.command(script), input=stdin, capture_output=True, check=False)
        if code := exit_code(result.returncode):
            raise self.failure(code, result.stderr.decode(errors="replace"))
        return result.stdout.decode(errors="replace")

    def stream(self, script: str, say: Callable[[str], None], *, words: bool = True) -> int:
        """Run shell text, pass on each line as it comes, and return the exit code.

        What comes on the standard error stream, ssh's own words too, is passed on with `words`.
        """
        process = subprocess.Popen(
            self.command(script),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if words else subprocess.DEVNULL,
            text=True,
            errors="replace",
        )
        with process:
            for line in process.stdout or ():
                say(line.rstrip("\n"))
        return exit_code(process.returncode)

    def receive(self, script: str) -> subprocess.Popen[bytes]:
        """Start shell text whose input the caller writes."""
        pipe = subprocess.PIPE
        return subprocess.Popen(self.command(script), stdin=pipe, stdout=pipe, stderr=pipe)

    def send_back(self, script: str) -> subprocess.Popen[bytes]:
        """Start shell text whose output the caller reads."""
        pipe, none = subprocess.PIPE, subprocess.DEVNULL
        return subprocess.Popen(self.command(script), stdin=none, stdout=pipe, stderr=pipe)

    def failure(self, code: int, told: str) -> DeployError:
        """Return the error for a failed command."""
        words = told.strip().splitlines() or ["it said nothing"]
        if code == LOST:
            where = f"{self.host.user}@{self.host.address}:{self.host.port}"
            return ConnectionLostError(f"{where} cannot be reached: {words[-1]}")
        return RemoteError(words[-1], code)

    def agent(self, *words: str, stdin: bytes = b"", first: str = "") -> str:
        """Run the agent once; it leaves nothing behind. `first` is shell text to run before."""
        program = agent()
        script = first + commands.agent_once(self.host, len(program), words)
        return self.run(script, program + stdin)

    def status(self, project: str, *, first: str = "") -> dict[str, Any]:
        """Return what runs on the host."""
        found: dict[str, Any] = json.loads(self.agent("status", "--project", project, first=first))
        return found

    def install_agent(self) -> None:
        """Put the agent on the host, for what has to outlive the connection."""
        program = agent()
        self.run(commands.agent_install(self.host, digest(program)), program)

    def agent_stream(self, words: Sequence[str], say: Callable[[str], None]) -> int:
        """Run the agent that was installed and pass on what it says; return its exit code."""
        script = commands.agent_stays(self.host, digest(agent()), words)
        return self.stream(script, say)

    def agent_follow(self, words: Sequence[str], say: Callable[[str], None]) -> int:
        """Do as `agent_stream` does, and keep ssh's own words out of what is passed on."""
        script = commands.agent_stays(self.host, digest(agent()), words)
        return self.stream(f"{script} 2>&1", say, words=False)


def exit_code(code: int) -> int:
    """Return the exit code of an ssh; one that a signal has ended has lost its connection."""
    return LOST if code < 0 else code


def pump(source: IO[bytes], target: IO[bytes], told: Callable[[int], None]) -> None:
    """Copy one stream to another and close it; `told` hears of the bytes so far."""
    total = 0
    with target:
        while chunk := source.read(1 << 18):
            target.write(chunk)
            total += len(chunk)
            told(total)
