"""The Docker engine: is it there, and if not, install and start it.

The engine is started as a process of its own where no init system runs. It outlives this program,
writes to a log file, and is found and cleaned up after when it was killed.
"""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from infra.engine import debian
from infra.engine.report import SetupError, environment, run, step

LOG = Path("/var/log/dockerd.log")
ENGINE_PID = Path("/var/run/docker.pid")
CONTAINERD_PID = Path("/var/run/docker/containerd/containerd.pid")
SYSTEMD = Path("/run/systemd/system")
START_TIME = 60.0
ANSWER_TIME = 10.0
CHATTER = re.compile(r"level=(info|warning|debug)")


def ask() -> str | None:
    """Return why no engine answers, None where one does."""
    command = ("docker", "version", "--format", "{{.Server.Version}}")
    try:
        result = subprocess.run(
            command,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=ANSWER_TIME,
        )
    except FileNotFoundError:
        return "the docker command is not installed"
    except subprocess.TimeoutExpired:
        return f"the engine did not answer within {ANSWER_TIME:.0f} s"
    return None if result.returncode == 0 else result.stderr.strip()


def ensure_engine() -> None:
    """Leave an engine running that answers.

    Raises:
        SetupError: There is none and none can be had; the message says why.
    """
    reason = ask()
    if reason is None:
        return
    if "permission denied" in reason:
        raise SetupError(
            "the Docker engine does not let this user in: run as root, or as a member of the "
            "group docker",
            os.EX_NOPERM,
        )
    if "DOCKER_HOST" in os.environ:
        raise SetupError(f"DOCKER_HOST names an engine that does not answer: {reason}; unset it")
    debian.require_debian()
    install_engine()
    start_engine()


def install_engine() -> None:
    """Install Debian's engine, and its client where there is none yet."""
    path = environment()["PATH"]
    client = shutil.which("docker", path=path)
    if client and shutil.which("dockerd", path=path):
        return
    debian.update()
    # Debian 12 has the client in docker.io, Debian 13 in a package of its own.
    apart = not client and debian.candidate("docker-cli")
    debian.install("docker.io", *(["docker-cli"] if apart else []))


def start_engine() -> None:
    """Start the engine and wait until it answers."""
    if SYSTEMD.is_dir():
        run("starting docker.service", ("systemctl", "start", "docker.service"))
    with step("starting the Docker engine"):
        if SYSTEMD.is_dir() or running(ENGINE_PID, "dockerd"):
            wait_for_answer(None)
        else:
            wait_for_answer(start_process())


def start_process() -> subprocess.Popen[bytes]:
    """Start dockerd detached from this program, its terminal and its session.

    A pid file that a killed engine left would stop the new one, once its number belongs to another
    process. The log begins anew; the one before it is kept beside it.
    """
    for pid_file, program in ((ENGINE_PID, "dockerd"), (CONTAINERD_PID, "containerd")):
        if running(pid_file, program) is None:
            pid_file.unlink(missing_ok=True)
    if LOG.exists():
        LOG.replace(LOG.with_suffix(".log.1"))
    with LOG.open("wb") as log:
        return subprocess.Popen(
            ("dockerd",),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=environment(),
            start_new_session=True,
        )


def running(pid_file: Path, program: str) -> int | None:
    """Return the process that a pid file names, if it runs and is that program and no other."""
    try:
        pid = int(pid_file.read_text())
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return None
    return pid if name == program else None


def wait_for_answer(process: subprocess.Popen[bytes] | None) -> None:
    """Wait until the engine answers, its process ends, or its time is over.

    Raises:
        SetupError: It will not answer; the message has the last words of its log.
    """
    deadline = time.monotonic() + START_TIME
    while time.monotonic() < deadline:
        if ask() is None:
            return
        if process is not None and process.poll() is not None:
            raise SetupError(f"dockerd does not start: {last_error()} (its log is {LOG})")
        time.sleep(0.1)
    pid = running(ENGINE_PID, "dockerd")
    advice = f"; end it with 'kill -9 {pid}' and run this again" if pid else ""
    raise SetupError(
        f"the Docker engine has not answered for {START_TIME:.0f} s (its log is {LOG}){advice}"
    )


def last_error() -> str:
    """Return the last line of the engine's log that is no chatter."""
    lines = LOG.read_text(errors="replace").splitlines()
    telling = [line for line in lines if line and not CHATTER.search(line)]
    return telling[-1] if telling else "its log says nothing"
