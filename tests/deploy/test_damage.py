"""What crashes, clocks and other versions leave on a server: met with one line, and worked around.

The agent itself on folders of this machine; only Docker is a script, which has no containers.
"""

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from deploy.agent.cutover.cut_over import CutOver
from deploy.agent.cutover.handover import put_back
from deploy.agent.cutover.journal import Journal, Switch
from deploy.agent.cutover.prune import prune
from deploy.agent.cutover.settle import change_to
from deploy.agent.data.backup import keep, kept, outdated
from deploy.agent.host import docker, health, lock
from deploy.agent.host.audit import Audit
from deploy.agent.host.errors import AgentError
from deploy.agent.host.layout import Layout, read_json, write_durably
from deploy.agent.host.release import Release
from deploy.agent.status import status
from deploy.agent.verbs import put_in_place
from deploy.ssh.bundle import agent

OLD, NEW = "20260101T000000Z-a", "20260102T000000Z-b"
JOURNAL = Journal("herald", NEW, OLD, "ada", step="create")
NOTHING = """\
#!/bin/sh
case "$*" in *--hash*) echo bot abc ;; info*) echo / ;; "images -aq"*) echo sha256:b ;; esac
"""


CONTAINERS = """\
#!/bin/sh
echo "$*" >>"$0.log"
cd "$(dirname "$0")"
case "$1 $*" in
*"start old-web" | *"--volumes new-bot") echo 'input/output error' >&2 && exit 1 ;;
ps*) ls | sed -n 's/.json$//p' ;;
container*) shift 2 && printf '[%s]' "$(cat $(printf '%s.json ' "$@") | paste -sd,)" ;;
start*) sed -i s/exited/running/ "$2.json" ;;
esac
"""
"""A Docker whose containers are files, and which fails at two of them."""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A project's folder where a release runs."""
    made = Layout(tmp_path / "herald")
    made.prepare()
    for name in (OLD, NEW):
        folder = made.releases / name
        folder.mkdir()
        bot = {"image": "sha256:b", "data": "", "handover": "overlap", "replicas": 1}
        facts = {"project": "herald", "services": {"bot": bot}, "files": {}, "content": name}
        (folder / "release.json").write_text(json.dumps({**facts, "secrets": {}, "smoke": None}))
    (made.releases / OLD / "ran").touch()
    made.link("current", made.releases / OLD)
    return made


@pytest.fixture
def no_containers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a Docker into the agent's path that has the bot's image and no containers."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/docker").write_text(NOTHING)
    (tmp_path / "bin/docker").chmod(0o755)
    monkeypatch.setattr(docker, "PATH", f"{tmp_path / 'bin'}:{docker.PATH}")


def run_agent(layout: Layout, *words: str) -> tuple[int, str]:
    """Run the agent as the server does; return its exit code and what it said."""
    program = layout.root.parent / "sent.pyz"
    program.write_bytes(agent())
    command = (sys.executable, "-IS", str(program), "--root", str(layout.root), *words)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def truncate(path: Path) -> None:
    """Leave the first half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_journal_of_a_newer_agent_is_left_to_that_agent(layout: Layout) -> None:
    """One line says how to call the one that is still on the server; nothing is undone by half."""
    JOURNAL.save(layout.journal)
    journal = json.loads(layout.journal.read_text()) | {"canary": True}
    layout.journal.write_text(json.dumps(journal))
    code, output = run_agent(layout, "recover")
    assert code == 65
    assert len(output.splitlines()) == 1
    assert f"python3 {layout.root}/agent.pyz --root {layout.root} recover" in output
    assert json.loads(layout.journal.read_text()) == journal


def test_a_journal_without_what_this_agent_needs_is_left_to_the_other_agent(
    layout: Layout,
) -> None:
    """One that has another shape is told as a newer one is, in one line."""
    JOURNAL.save(layout.journal)
    journal = json.loads(layout.journal.read_text())
    del journal["switches"]
    layout.journal.write_text(json.dumps(journal))
    code, output = run_agent(layout, "recover")
    assert (code, len(output.splitlines())) == (65, 1)
    assert json.loads(layout.journal.read_text()) == journal


def test_a_damaged_journal_stops_whoever_would_deploy(layout: Layout) -> None:
    """Nobody knows what is to be undone; the file is named, and stays."""
    JOURNAL.save(layout.journal)
    truncate(layout.journal)
    code, output = run_agent(layout, "recover")
    assert (code, output) == (65, f"{layout.journal} is damaged\n")
    assert layout.journal.exists()


@pytest.mark.parametrize("option", ["", "--once"], ids=["a boot", "a deployer"])
def test_what_a_boot_cannot_settle_yet_it_tries_again(option: str, layout: Layout) -> None:
    """It says why, once; whoever sits before a terminal decides for himself."""
    (layout.root / "current").unlink()
    program = layout.root.parent / "sent.pyz"
    program.write_bytes(agent())
    recover = (sys.executable, "-IS", str(program), "--root", str(layout.root), "recover")
    with lock.flock(layout, lock.CUT_OVER, wait=False):
        process = subprocess.Popen(
            (*recover, *option.split()),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        said = process.stdout.readline()
        assert "a cut-over is under way on this host; try again later" in said
        assert ("trying again until it works" in said) == (not option)
    output = process.communicate()[0]
    assert (process.returncode, output) == ((75, "") if option else (0, "no release is current\n"))


@pytest.mark.parametrize("damaged", ["journal", "lock", "release.json"])
def test_damage_can_be_looked_at(damaged: str, layout: Layout, no_containers: None) -> None:
    """`status` answers whatever is damaged, and says what."""
    JOURNAL.save(layout.journal)
    lock.take(layout, "token", "ada", "deploy", 60)
    paths = {"journal": layout.journal, "lock": layout.lock}
    truncate(paths.get(damaged, layout.releases / OLD / "release.json"))
    if damaged == "release.json":
        layout.journal.unlink()
    seen = status(layout, "herald")
    assert seen["current"] == OLD
    assert [release["name"] for release in seen["releases"]] == [OLD]
    said = {"journal": seen["unfinished"], "lock": seen["lock"]}
    assert "is damaged" in (said.get(damaged) or seen["as_released"][0])
    assert (seen["content"] == OLD) == (damaged != "release.json")


def test_a_damaged_lock_keeps_everybody_out_until_it_is_taken_away(layout: Layout) -> None:
    """Somebody may have locked by hand."""
    lock.take(layout, "token", "ada", "deploy", None)
    truncate(layout.lock)
    with pytest.raises(AgentError, match=r"locked by somebody .*lock.json is damaged") as refused:
        lock.take(layout, "other", "bob", "deploy", 60)
    assert refused.value.code == 75
    assert run_agent(layout, "unlock")[0] == 0
    lock.take(layout, "other", "bob", "deploy", 60)


def test_a_clock_that_was_put_back_costs_no_backup(layout: Layout) -> None:
    """Backups that are named after times to come are older than the one of now."""
    made = ["20990101T000000Z", "20990102T000000Z", "20260101T000000Z"]
    for name in made:
        (layout.backups / name).mkdir()
        (layout.backups / name / "backup.json").write_text("{}")
    assert [folder.name for folder in kept(layout)] == made
    assert [folder.name for folder in outdated(kept(layout), 1)] == made[:2]


def test_how_many_backups_are_kept_is_known_from_an_earlier_provision_too(layout: Layout) -> None:
    """It wrote that under another name; the newer file counts."""
    assert keep(layout) == 7
    (layout.root / "backup.json").write_text('{"keep": 3}')
    assert keep(layout) == 3
    (layout.root / "retention.json").write_text('{"keep": 5}')
    assert keep(layout) == 5


@pytest.mark.parametrize("number", [0, -5, True, None, "3", "../x", 2.5, [3]], ids=repr)
def test_a_number_that_is_none_clears_nothing_away(layout: Layout, number: object) -> None:
    """It is told; `-5` would have taken the five oldest."""
    (layout.root / "retention.json").write_text(json.dumps({"keep": number}))
    with pytest.raises(AgentError, match="backups cannot be kept; run: make provision"):
        keep(layout)
    (layout.root / "retention.json").write_text("[3]")
    with pytest.raises(AgentError, match="is damaged"):
        keep(layout)


def test_a_restore_first_settles_a_cut_over_that_died(layout: Layout, no_containers: None) -> None:
    """It starts every container of a data store; two of them would share their files."""
    JOURNAL.save(layout.journal)
    options = Namespace(name="20260101T000000Z", release="", hold=False, who="ada")
    with pytest.raises(AgentError, match="no backup is called"):
        put_in_place(layout, options)
    assert not layout.journal.exists()
    assert "rolled back: release " in layout.audit.read_text()


def test_a_secret_that_was_removed_is_missed_before_anything_changes(
    layout: Layout, no_containers: None
) -> None:
    """Its file is named after its contents: a deploy sends it again."""
    facts = json.loads((layout.releases / NEW / "release.json").read_text())
    facts["secrets"] = {"TOKEN": "TOKEN.1", "KEY": "KEY.1"}
    (layout.releases / NEW / "release.json").write_text(json.dumps(facts))
    (layout.secrets / "KEY.1").touch()
    with pytest.raises(AgentError, match=r"^this host lacks the secret TOKEN; deploy it again$"):
        change_to(layout, NEW, "ada", lambda _: None)
    assert not layout.journal.exists()


@pytest.mark.parametrize(
    ("runs", "comes", "line"),
    [
        (OLD, NEW, "this is one of three servers, and the release is for a server alone: "),
        (NEW, OLD, "this is a server alone, and the release is for one of three servers: "),
    ],
)
def test_a_server_stays_one_of_three_or_alone(
    layout: Layout, no_containers: None, runs: str, comes: str, line: str
) -> None:
    """Its two others would be left behind, or its data: that is told before anything changes."""
    file = layout.releases / OLD / "release.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "copies": {"member": "10.0.0.1"}}))
    layout.link("current", layout.releases / runs)
    with pytest.raises(AgentError, match=line) as caught:
        change_to(layout, comes, "ada", lambda _: None)
    assert "\n" not in str(caught.value)
    assert not layout.journal.exists()


def test_an_image_that_was_sent_and_never_named_goes(
    layout: Layout, tmp_path: Path, no_containers: None
) -> None:
    """Its release is on the server and has never run; the images of those that ran stay."""
    log = tmp_path / "removed"
    script = f"""#!/bin/sh
case "$*" in
    "images -q "*) printf '%s\\n' sha256:b sha256:c ;;
    "image rm "*) echo "$3" >>{log} ;;
esac
"""
    (tmp_path / "bin/docker").write_text(script)
    facts = (layout.releases / NEW / "release.json").read_text()
    (layout.releases / NEW / "release.json").write_text(facts.replace("sha256:b", "sha256:c"))
    prune(layout, "herald", Audit(layout.audit, "ada"))
    assert log.read_text().split() == ["sha256:c"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """A half-written file would take the room that a full disk has not."""
    path = tmp_path / "journal.json"
    path.write_text("old")
    write = (
        "import resource, signal, sys; from pathlib import Path; "
        "from deploy.agent.host.layout import write_durably; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); "
        "write_durably(Path(sys.argv[1]), b'x' * 10000)"
    )
    done = subprocess.run(
        (sys.executable, "-c", write, str(path)), capture_output=True, text=True, check=False
    )
    assert "OSError" in done.stderr
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    write_durably(path, b"new")
    assert path.read_text() == "new"


def test_a_cut_over_that_cannot_write_its_journal_keeps_no_room(
    layout: Layout, no_containers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused before anything changes, and gives back what it held for undoing."""
    monkeypatch.setattr(sys, "argv", [__file__])
    release = Release.load(layout.releases / NEW)
    in_the_way = layout.state / ".journal.json.new"
    in_the_way.mkdir()
    with pytest.raises(OSError, match=r"journal\.json\.new"):
        CutOver.begin(layout, release, Audit(layout.audit, "ada"))
    assert not layout.ballast.exists()
    in_the_way.rmdir()
    begun = CutOver.begin(layout, release, Audit(layout.audit, "ada"))
    assert layout.ballast.stat().st_size > 0
    assert read_json(layout.journal) is not None
    begun.close()
    assert not layout.ballast.exists()


@pytest.mark.parametrize("handover", ["overlap", "replace"])
def test_a_release_that_cannot_be_read_is_replaced_without_overlap(
    handover: str, layout: Layout, no_containers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows whether its containers bear a second one beside them."""
    monkeypatch.setattr(sys, "argv", [__file__])
    if handover == "replace":
        truncate(layout.releases / OLD / "release.json")
    release = Release.load(layout.releases / NEW)
    begun = CutOver.begin(layout, release, Audit(layout.audit, "ada"))
    assert [switch.handover for switch in begun.journal.switches] == [handover]
    assert begun.journal.before == OLD
    assert layout.audit.exists() == (handover == "replace")


def test_what_cannot_be_put_back_is_told_and_the_rest_is_put_back(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that shares files with its successor is not started before that is stopped."""
    program = tmp_path / "bin/docker"
    program.parent.mkdir()
    program.write_text(CONTAINERS)
    program.chmod(0o755)
    monkeypatch.setattr(docker, "PATH", f"{program.parent}:{docker.PATH}")
    monkeypatch.setattr(health, "STABLE_FOR", 0.0)
    states = {"page": "exited", "web": "exited", "bot": "running"}
    for service, state in states.items():
        for name, now in ((f"old-{service}", state), (f"new-{service}", "running")):
            facts: dict[str, object] = {"Id": name, "Name": name, "Image": "sha256:b"}
            facts["Config"] = {"Labels": {docker.SERVICE_LABEL: service}}
            facts["State"] = {"Status": now, "ExitCode": 0, "StartedAt": ""}
            facts["HostConfig"] = {"RestartPolicy": {"Name": "always"}}
            (program.parent / f"{name}.json").write_text(json.dumps(facts) + "\n")
    switches = [
        Switch(name, "overlap" if name == "bot" else "replace", 1, [f"old-{name}"], [f"old-{name}"])
        for name in states
    ]
    problems = put_back("herald", switches, Audit(layout.audit, "ada"))
    assert problems == [
        "web: docker start old-web failed: input/output error",
        "bot: docker rm --force failed: input/output error",
    ]
    calls = (tmp_path / "bin/docker.log").read_text().splitlines()
    assert calls.index("stop new-page") < calls.index("start old-page")
    assert calls.index("stop new-web") < calls.index("start old-web")
    assert "rm --force --volumes new-page" in calls
    assert "start old-bot" not in calls


def test_a_run_that_died_is_not_waited_for(layout: Layout) -> None:
    """Its output is there; nobody writes it any more, and nobody wrote down how it ended."""
    (layout.state / "run-one.log").write_text("tg_bot: switching\n")
    code, output = run_agent(layout, "follow", "--run", "one")
    died = "the cut-over died on the host; run the same command again"
    assert (code, output.splitlines()) == (69, ["tg_bot: switching", died])
