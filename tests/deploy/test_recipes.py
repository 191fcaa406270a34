"""Recipes run by plain pyinfra, by somebody else's deploy and by make: what each can be told."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from pyinfra.api.deploy import deploy
from pyinfra.operations import files

from deploy import inventory
from deploy.make import runner
from deploy.release import checkout
from tests.deploy.project import Project, wait_for
from tests.deploy.server import Server

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.timeout(120)
THEIRS = """
from pyinfra.operations import server

from deploy.recipes.lock import lock

server.shell(name="Something of theirs", commands=["touch /tmp/theirs"])
lock(reason="their own")
"""


@pytest.fixture(scope="module")
def project(folder: Path, server: Server) -> Project:
    """Two hosts of one environment, which are one server with two roots."""
    made = Project(folder, "http://127.0.0.1:1")
    made.servers = {"first": server, "second": server}
    made.own = {name: {"root": f"/srv/{name}"} for name in made.servers}
    return made


@pytest.fixture(autouse=True)
def unlocked(project: Project) -> Iterator[None]:
    """Both hosts are free afterwards."""
    yield
    project.succeed("unlock", "env=staging")


def locks(project: Project) -> list[str]:
    """Return which hosts are locked, as make sees them."""
    lines = project.run("status", "env=staging")[1].splitlines()
    locked = [line for line in lines if ": lock " in line and "free" not in line]
    return sorted(line.partition(":")[0] for line in locked)


def test_a_recipe_is_limited_tried_and_run_by_plain_pyinfra(project: Project) -> None:
    """With nobody at a terminal; what is tried changes nothing, and no progress is drawn."""
    code, output = project.pyinfra("lock", "--dry", "--data", "reason=trying")
    assert (code, output.count("would lock: trying")) == (0, 2), output
    assert locks(project) == []
    code, output = project.pyinfra("lock", "-y", "--limit", "second", "--data", "reason=really")
    assert (code, output.count(": really\n")) == (0, 1), output
    assert "\r" not in output
    assert locks(project) == ["second"]


def test_a_host_that_fails_does_not_stop_the_others(project: Project) -> None:
    """Neither one that refuses, nor one whose data is wrong; pyinfra's exit code is 1."""
    project.succeed("lock", "host=first", "reason=mine")
    code, output = project.pyinfra("lock", "-y")
    assert code == 1, output
    assert re.search(r"\[first\] +locked by ", output)
    assert locks(project) == ["first", "second"]
    project.succeed("unlock", "env=staging")
    right, project.own["first"] = project.own["first"], {"root": "srv/first"}
    code, output = project.pyinfra("lock", "-y")
    project.own["first"] = right
    assert (code, "Traceback" in output) == (1, False), output
    assert "root of first is 'srv/first', not an absolute path" in output
    assert locks(project) == ["second"]


@pytest.mark.parametrize(
    ("recipe", "line"),
    [
        ("rollback", "there is no previous release to go back to; see make releases"),
        ("backup", "no release runs on this host; deploy one"),
        ("restore", "say which: from=NAME; there are: none"),
        ("unlock", "there is no lock"),
    ],
)
def test_plain_pyinfra_is_told_what_make_is_told(project: Project, recipe: str, line: str) -> None:
    """By every recipe, of each host."""
    code, output = project.pyinfra(recipe, "--dry")
    assert (code, output.count(line), "Traceback" in output) == (0, 2, False), output
    output = project.run(recipe, "env=staging", "dry=1")[1]
    assert output.count(line) == 2, output


def test_a_recipe_that_cannot_begin_on_a_host_goes_on_elsewhere(project: Project) -> None:
    """Provision looks before it makes its operations; what it finds wrong fails that host alone."""
    project.own["first"]["backup_every"] = "fortnight"
    code, output = project.pyinfra("provision", "--dry")
    del project.own["first"]["backup_every"]
    assert (code, "Traceback" in output) == (0, False), output
    assert re.search(r"\[first\] +the inventory: backup_every of first is 'fortnight'", output)
    lines = [line.split() for line in output.splitlines() if "Close every port" in line]
    assert [line[-3:-1] for line in lines] == [["1", "(second)"]], output


def test_pyinfras_exit_codes_are_its_own(project: Project) -> None:
    """An unknown --limit ends with 0 and does nothing; without -y somebody has to say yes."""
    code, output = project.pyinfra("lock", "-y", "--limit", "nobody")
    assert (code, "No host matches" in output) == (0, True), output
    code, output = project.pyinfra("lock")
    assert (code != 0, "EOFError" in output) == (True, True), output
    assert locks(project) == []
    code, output = project.run("lock", "host=nobody")
    assert (code, "no host is called 'nobody'" in output) == (64, True)


def test_a_step_of_pyinfras_own_that_breaks_is_no_success(
    project: Project, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """It does not fail the host as an error in an operation does: pyinfra itself stops."""

    @deploy("Theirs")
    def recipe() -> None:
        files.put(name="A file", src=StringIO("text"), dest="/tmp/a-file")  # noqa: S108 - a server's

    project.inventory()
    monkeypatch.setenv("HERALD_INVENTORIES", str(project.folder))
    (host,) = inventory.choose("first", "")
    assert runner.run([host], recipe, dry=False, report=True) == 0
    assert capsys.readouterr().out == "  done: A file\n"
    server.sh("rm -f /tmp/a-file")
    broken = replace(host, data={**host.data, "ssh_file_transfer_protocol": "none"})
    assert runner.run([broken], recipe, dry=False, report=True) == 69
    assert "herald: first: a step failed" in capsys.readouterr().err


@pytest.mark.parametrize(("program", "code"), [("deploy", 130), ("pyinfra", 0)])
def test_an_interrupt_ends_it_at_once(
    project: Project, server: Server, program: str, code: int
) -> None:
    """While the host does not answer; make says so, and pyinfra calls it a success."""
    words: tuple[str, ...] = ("provision", "host=first")
    if program == "pyinfra":
        inventory = str(project.folder / "inventories/staging.py")
        words = ("-y", inventory, "deploy/recipes/provision.py", "--limit", "first")
    with server.black_hole():
        process = project.start(*words, program=program)
        wait_for(process, "looking" if program == "deploy" else "Connecting to hosts")
        process.send_signal(signal.SIGINT)
        output = process.communicate()[0]
    assert process.returncode == code, output
    if program == "deploy":
        assert output.startswith("herald: interrupted; what a host has begun it finishes"), output


def test_somebody_elses_deploy_includes_ours(
    project: Project, server: Server, tmp_path: Path
) -> None:
    """It runs among their own operations, on hosts of their own inventory, whatever that says."""
    (tmp_path / "web.py").write_text(THEIRS)
    data = {
        "ssh_hostname": "127.0.0.1",
        "ssh_port": server.port,
        "ssh_user": "root",
        "ssh_key": str(server.key),
        "ssh_known_hosts_file": str(server.known_hosts),
        "root": "/srv/first",
        "colour": "blue",
    }
    (tmp_path / "inventory.py").write_text(f"web = [('web-1', {data!r})]\n")
    result = subprocess.run(
        (sys.executable, "-m", "pyinfra", "-y", "inventory.py", "web.py"),
        cwd=tmp_path,
        env=project.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert ": their own" in result.stderr
    assert server.succeeds("test -e /tmp/theirs")
    assert locks(project) == ["first"]


def test_facts_are_asked_by_plain_pyinfra(project: Project, server: Server) -> None:
    """They leave nothing on the server, and their program is in no log."""
    project.inventory()
    facts = [f"deploy.facts.{name}" for name in ("HostStatus", "Drift", "Audit")]
    inventory = str(project.folder / "inventories/staging.py")
    words = ("-vvv", "--debug", "--json", inventory, "fact", *facts, "--limit", "first")
    before = server.sh("ls -A /tmp /srv /srv/first")
    process = project.start(*words, program="pyinfra")
    output = process.communicate()[0]
    assert process.returncode == 0, output
    assert '"as_released"' in output
    assert "no release is current" in output
    assert max(map(len, output.splitlines())) < 4_000
    assert server.sh("ls -A /tmp /srv /srv/first") == before


def test_group_data_is_seen_from_the_root_of_the_repository() -> None:
    """Plain pyinfra has what `make` has, without a word more; no server is asked."""
    for name in ("staging", "production"):
        command = ("-m", "pyinfra", "--json", f"deploy/inventories/{name}.py", "debug-inventory")
        shown = subprocess.run(
            (sys.executable, *command), cwd=checkout.ROOT, capture_output=True, check=True
        ).stdout
        text = json.dumps(json.loads(shown))
        assert '"root": "/srv/herald"' in text
        assert '"LOG_LEVEL"' in text
