"""Provisioning a bare test server: ours, and Ansible bringing the same server to the same state."""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from deploy.server import firewall, scheduled, server_files
from tests.benchmarks.environments import ansible_playbook
from tests.benchmarks.findings import Report
from tests.deploy.project import Project
from tests.deploy.server import BARE, Server

PLAYBOOK = Path(__file__).parent / "peers/provision.yml"
ROOT = "/srv/herald"
SYSTEM = ("debian", "13")
USER = "deploy"
DAILY = "daily"
PATIENCE = 900


def measure(report: Report, rounds: int, say: Callable[[str], None]) -> None:
    """Provision servers with both tools in turn, and add what was found."""
    ansible_playbook()
    taken: dict[str, list[tuple[float, float]]] = {"Herald": [], "Ansible": []}
    for number in range(rounds):
        for name, provision in (("Herald", _ours), ("Ansible", _theirs)):
            say(f"provision, round {number + 1} of {rounds}: {name}")
            with (
                tempfile.TemporaryDirectory(prefix="herald-bench-") as folder,
                Server(Path(folder), BARE) as server,
            ):
                taken[name].append(provision(Path(folder), server))
    for place, what in enumerate(("provision a bare server", "provision again, all in place")):
        mine, theirs = ([times[place] for times in taken[name]] for name in taken)
        report.compare(what, "s", mine, "Ansible", theirs)


def _ours(folder: Path, server: Server) -> tuple[float, float]:
    """Return the seconds of the first and of the second run of `provision`."""
    project = Project(folder, "http://127.0.0.1:1")
    project.servers["server"] = server
    # Swap would be the whole machine's, not the container's.
    project.data = {"ssh_user": USER, "swap_megabytes": 0, "backup_every": DAILY}
    return (
        _timed(lambda: project.succeed("provision", "host=server")),
        _timed(lambda: project.succeed("provision", "host=server")),
    )


def _theirs(folder: Path, server: Server) -> tuple[float, float]:
    """Return the seconds of the first and of the second run of the playbook."""
    variables = folder / "variables.json"
    variables.write_text(json.dumps(_variables(server)), encoding="utf-8")
    first = _timed(lambda: _play(folder, server, "root"))
    began = time.perf_counter()
    output = _play(folder, server, USER, "--become")
    if "changed=0" not in output:
        raise RuntimeError(f"the playbook is not idempotent:\n{output[-3000:]}")
    return first, time.perf_counter() - began


def _play(folder: Path, server: Server, user: str, *options: str) -> str:
    """Run the playbook as Ansible's documentation has it, with pipelining; return its report."""
    command = (
        *(str(ansible_playbook()), "--inventory", "127.0.0.1,", "--user", user, *options),
        *("--private-key", str(server.key), "--extra-vars", f"@{folder / 'variables.json'}"),
        *("--extra-vars", f"ansible_port={server.port}", str(PLAYBOOK)),
    )
    environment = {
        **os.environ,
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_HOST_KEY_CHECKING": "False",
        "ANSIBLE_PIPELINING": "True",
    }
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    if done.returncode:
        raise RuntimeError(f"ansible-playbook failed:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    return done.stdout


def _variables(server: Server) -> dict[str, object]:
    """Return what the playbook needs to know: our texts, and its own words for the rest."""
    rules = firewall.program((), (22,))
    texts = {
        "/etc/docker/daemon.json": server_files.DAEMON,
        "/etc/logrotate.d/herald": server_files.logrotate(ROOT),
        server_files.UPGRADES_PATH: server_files.UPGRADES,
        **scheduled.files(ROOT, DAILY, systemd=False),
    }
    files = [{"path": path, "text": text, "mode": "0644"} for path, text in texts.items()]
    files.append({"path": firewall.PATH, "text": rules, "mode": "0755"})
    return {
        "packages": [*server_files.PACKAGES, *server_files.PACKAGES_OF[SYSTEM], "chrony"],
        "files": files,
        "deploy_user": USER,
        "public_key": server.key.with_suffix(".pub").read_text(encoding="utf-8").strip(),
        "start_docker": server_files.START_DOCKER,
        "firewall": firewall.PATH,
        "rules": server_files.digest(rules),
        "sshd": {"path": server_files.SSHD_PATH, "text": server_files.SSHD},
    }


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
