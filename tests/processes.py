"""The services as real processes, each with nothing but its own variables."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers import free_port

TOKEN = "42:a-token-for-the-simulator-of-these-tests"
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")


class Service:
    """One `python -m <name>`; its output is in `log`."""

    def __init__(self, name: str, **variables: str) -> None:
        self.name = name
        self.variables = variables
        self._log = tempfile.NamedTemporaryFile(prefix=f"herald-{name}-", suffix=".log")  # noqa: SIM115 — closed when the service is left
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            sys.stderr.write(f"--- {self.name} ---\n{self.log[-4000:]}\n")
        self.kill()
        self._log.close()

    def start(self, *command: str) -> None:
        """Start it, with a command other than its own where one is given."""
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        self._process = subprocess.Popen(
            command or (sys.executable, "-m", self.name),
            env={**inherited, **self.variables},
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def log(self) -> str:
        """Return everything that it has written so far."""
        return Path(self._log.name).read_text(encoding="utf-8", errors="replace")

    @property
    def exit_code(self) -> int | None:
        """Return its exit code; None while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def pid(self) -> int:
        """Return its process id."""
        if self._process is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._process.pid

    def wait(self, seconds: float = 30) -> int:
        """Wait for its end and return the exit code."""
        if self._process is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._process.wait(seconds)

    def terminate(self, seconds: float = 30) -> int:
        """Send SIGTERM and return the exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return self.wait(seconds)

    def kill(self) -> None:
        """Send SIGKILL to it and all that it started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def wait_for(self, url: str, status: int = 200, seconds: float = 30) -> None:
        """Wait until a URL of it answers with a status."""
        deadline = time.monotonic() + seconds
        while get_status(url) != status:
            if self.exit_code is not None:
                raise AssertionError(f"{self.name} exited with {self.exit_code}:\n{self.log}")
            if time.monotonic() > deadline:
                raise AssertionError(f"{url} does not answer {status}:\n{self.log}")
            time.sleep(0.05)


def get_status(url: str) -> int | None:
    """Return the HTTP status of a GET, or None where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 — http, of this test
            status: int = response.status
            return status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def simulator(state: Path | None = None, *, limits: bool = True) -> Service:
    """Return an offline Telegram on a free port; `SIM_PORT` is among its variables."""
    variables = {"SIM_PORT": str(free_port()), "SIM_TOKENS": TOKEN}
    if state is not None:
        variables["SIM_STATE"] = str(state)
    if not limits:
        variables["SIM_LIMITS"] = "off"
    return Service("telegram_sim", **variables)


def url_of(sim: Service) -> str:
    """Return the base URL of a simulator."""
    return f"http://127.0.0.1:{sim.variables['SIM_PORT']}"


def bot(redis_url: str, telegram_url: str, backend_url: str = "http://127.0.0.1:1") -> Service:
    """Return a bot that polls a simulator; its health port is a free one.

    Tests write at the speed of a machine, so it has no quota for a sender.
    """
    return Service(
        "tg_bot",
        TELEGRAM_BOT_TOKEN=TOKEN,
        TELEGRAM_API_URL=telegram_url,
        REDIS_URL=redis_url,
        API_BASE_URL=backend_url,
        HEALTH_PORT=str(free_port()),
        MESSAGES_PER_MINUTE="0",
        BYTES_PER_DAY="0",
        LOG_FORMAT="json",
    )


def health_of(service: Service) -> str:
    """Return the URL of a bot's health."""
    return f"http://127.0.0.1:{service.variables['HEALTH_PORT']}/health"
