"""The commands behind the Makefile: what they refuse, and what they say when they cannot run."""

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from infra.dev import compose, events, suites
from infra.dev.lint import shell_scripts, steps
from infra.dev.steps import Step, run_steps
from infra.stack import load_plan
from infra.stack.compose.addresses import stand_ins

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a module of infra.dev on a machine whose PATH holds no Docker."""
    kept = {key: value for key, value in os.environ.items() if key not in {"CI", "PATH"}}
    return subprocess.run(
        (sys.executable, "-m", *arguments),
        cwd=ROOT,
        env={**kept, "PATH": str(Path(sys.executable).parent), **variables},
        check=False,
        capture_output=True,
        text=True,
    )


def test_an_unknown_suite_is_refused() -> None:
    """The message lists the suites; the exit code is that of wrong usage."""
    done = run("infra.dev.suites", "nonsense")
    assert done.returncode == os.EX_USAGE
    names = ", ".join(suites.SUITES)
    assert f"no suite is called 'nonsense'; there are: {names}" in done.stderr


def test_a_suite_without_docker_says_how_to_get_it() -> None:
    """It did not run, and the run as a whole has not succeeded."""
    done = run("infra.dev.suites", "inbox")
    assert done.returncode == os.EX_UNAVAILABLE
    assert "make docker-engine" in done.stderr
    assert "did not run" in done.stdout
    assert "0 passed, 0 failed" in done.stdout


def test_a_skipped_test_has_not_passed(tmp_path: Path) -> None:
    """A skip, a failure and an error each count as failed."""
    results = tmp_path / "results.xml"
    results.write_text(
        '<testsuites><testsuite tests="10" failures="1" errors="2" skipped="3"/></testsuites>'
    )
    assert suites.count(results) == (4, 6)
    assert suites.count(tmp_path / "missing.xml") == (0, 0)


def test_a_suite_without_tests_has_not_passed() -> None:
    """Nothing collected, nothing proved."""
    assert not suites.Outcome(suites.SUITES["shared"], passed=0, failed=0).ok
    assert suites.Outcome(suites.SUITES["shared"], passed=1, failed=0).ok


def test_every_file_of_tests_is_in_a_suite() -> None:
    """None is left out because its folder is not known."""
    tracked = subprocess.run(
        ("git", "ls-files", "*/test_*.py"), cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    gone = [f"tests/{name}/" for name in suites.NEEDS if name not in suites.SUITES]
    folders = (*(f"{suite.folder}/" for suite in suites.SUITES.values()), *gone)
    assert tracked
    assert [path for path in tracked if not path.startswith(folders)] == []


@pytest.mark.timeout(600)  # whole suites are collected, maybe beside others
def test_words_choose_tests(tmp_path: Path) -> None:
    """Suites without such a test are left out; none at all is wrong usage, said in one line."""
    word = "test_a_skipped_test_has_not_passed"
    (tmp_path / "git").symlink_to(str(shutil.which("git")))  # which this suite's tests begin with
    path = f"{Path(sys.executable).parent}:{tmp_path}"
    done = run("infra.dev.suites", "upstream", "infra", "-k", word, PATH=path)
    assert done.returncode == os.EX_OK, done.stderr
    assert done.stdout.split() == [
        *("infra", "1", "passed", "0", "failed", done.stdout.split()[5], "s"),
        *("1", "passed,", "0", "failed"),
    ]
    done = run("infra.dev.suites", "upstream", "-k", "no_such_word_anywhere")
    assert done.returncode == os.EX_USAGE
    assert done.stderr.splitlines()[-1] == "k=no_such_word_anywhere chooses no test"


@pytest.mark.timeout(600)
def test_suites_run_at_once_and_each_fails_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What each has printed is kept together; files are shared among processes that differ."""
    text = "import os\n\n\ndef test_{0}():\n    print(os.getpid(), file=open('{1}', 'w'))\n"
    made = []
    for name in ("good", "bad"):
        folder = tmp_path / name
        folder.mkdir()
        for number in range(2):
            source = text.format(number, folder / f"pid{number}")
            (folder / f"test_{number}.py").write_text(source)
        made.append(suites.Suite(name, str(folder), suites.Needs(processes=2)))
    (tmp_path / "bad/test_1.py").write_text("def test_1():\n    assert False, 'on purpose'\n")
    outcomes = suites.run_all(made)
    assert [(outcome.passed, outcome.failed) for outcome in outcomes] == [(2, 0), (1, 1)]
    assert len({(tmp_path / f"good/pid{number}").read_text() for number in range(2)}) == 2
    printed = capfd.readouterr().err
    assert printed.count("on purpose") >= 1
    assert printed.index("suite bad is over, exit code 1") < printed.index("on purpose")


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        (("tests", "suit=shared"), "make tests takes no option 'suit'; there are: suite k."),
        (("tests", "SUITE=shared"), "make tests takes no option 'SUITE'; there are: suite k."),
        (("tests", "package=lease"), "make tests takes no option 'package'; there are: suite k."),
        (("lint", "typecheck", "k=a"), "make lint typecheck takes no option 'k'; there are: none."),
        (("mode=check",), "make help takes no option 'mode'; there are: none."),
        (("logs", "lines=3"), "make logs takes no option 'lines'; there are: service."),
        (("secrets", "set=TOKEN"), "make secrets takes no option 'set'; there are: none."),
        (("lint", "tests", "k=a"), ""),
        (("dev-start", "COMPOSE_PROFILES=sim", "CI=true"), ""),
        (("tests", "suite=shared", "k=a or b", "PYTHON=python3"), ""),
        (("dead-letters", "do=replay all"), ""),
        (("events", "user=1", "since=10min", "json=1"), ""),
        (("dead-letters", "host=a", "of=all"), ""),  # the deploy verb tells
        (("events", "host=a", "user=1"), ""),
    ],
)
def test_a_misspelt_option_of_make_is_refused(words: tuple[str, ...], refused: str) -> None:
    """Otherwise every suite would run, for one."""
    done = subprocess.run(
        ("make", "--dry-run", *words), cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert done.returncode == (2 if refused else 0), done.stderr
    assert refused in done.stderr


def test_make_help_names_every_option_of_a_target() -> None:
    """What its commands use stands in its line, and the other way round."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target, line, commands in re.findall(r"(?m)^([a-z-]+): ## (.*)\n((?:\t.*\n?)+)", text):
        used = set(re.findall(r"\$\((?:if \$\()?([a-z]+)\)", commands)) - {"host", "env"}
        named = " ".join(re.findall(r"\[(.*?)\]", line))
        options = set(re.findall(r"([a-z]+)=", re.sub(r"(host|env)=.*", "", named)))
        given = {"lock": {"upgrade"}, "log": {"service"}, "events": set(events.KNOWN)}.get(
            target, set()
        )
        assert used | given == options, target


def test_an_interrupt_while_events_begins_is_no_traceback() -> None:
    """Whenever it comes: mostly while the rest of the tools is imported."""
    program = """
import runpy, sys
class Interrupt:
    def find_spec(self, name, *_):
        if name == 'infra.dev.compose':
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
runpy.run_module('infra.dev.events', run_name='__main__')
"""
    variables = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    done = subprocess.run(
        (sys.executable, "-c", program), cwd=ROOT, env=variables, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGINT, b"", b"")


def test_events_refuses_an_option_that_it_has_not() -> None:
    """In one line that names those that it has; a server's `of=` would else do nothing."""
    done = run("infra.dev.events", "host=a", "of=all")
    assert done.returncode == os.EX_USAGE
    assert done.stderr == (
        "events does not take 'of'; it takes event, user, since, json, host, env, verbose\n"
    )


def test_steps_go_on_after_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """Every step runs, the failed ones are named at the end, the exit code is 1."""
    code = run_steps([Step("good", ("true",)), Step("bad", ("false",)), Step("last", ("true",))])
    printed = capsys.readouterr().out
    assert code == 1
    assert [line.split()[0] for line in printed.splitlines()] == ["good", "bad", "last", "failed:"]


def test_every_action_of_a_workflow_is_pinned_to_a_commit() -> None:
    """A tag can be moved by whoever takes over the action; lint holds the rest of a workflow."""
    uses = [
        line
        for path in (ROOT / ".github/workflows").glob("*.yml")
        for line in path.read_text().splitlines()
        if "uses:" in line
    ]
    assert uses
    for line in uses:
        assert re.search(r"uses: [\w./-]+@[0-9a-f]{40} # v[0-9.]+$", line), line
    assert "zizmor" in {step.name for step in steps()}


def test_lint_checks_every_shell_script_and_dockerfile() -> None:
    """The lists are not empty: a check of nothing cannot fail."""
    assert ".ci/run" in shell_scripts()
    commands = {step.name: list(step.command) for step in steps()}
    assert "services/Dockerfile" in commands["hadolint"]


def test_an_unknown_profile_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message lists the profiles; nothing is started."""
    monkeypatch.setattr(compose, "ROOT", clone(tmp_path))
    monkeypatch.setenv("COMPOSE_PROFILES", "nonsense")
    assert compose.main(["start"]) == os.EX_USAGE


def test_a_bot_without_a_token_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The missing .env is made, private, and the message names what has to go into it."""
    root = clone(tmp_path)
    monkeypatch.setattr(compose, "ROOT", root)
    monkeypatch.setenv("COMPOSE_PROFILES", "tg")
    monkeypatch.delenv("TELEGRAM_BOT_TOKEN", raising=False)
    assert compose.main(["start"]) == os.EX_CONFIG
    said = capsys.readouterr().err
    assert ".env was missing; it is now a copy of .env.example" in said
    assert "TELEGRAM_BOT_TOKEN must be set in .env" in said
    assert stat.S_IMODE((root / ".env").stat().st_mode) == 0o600


def test_the_simulator_needs_no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the profile `sim` nothing is missing: the simulator provides the token."""
    root = clone(tmp_path)
    monkeypatch.setattr(compose, "ROOT", root)
    monkeypatch.delenv("TELEGRAM_BOT_TOKEN", raising=False)
    plan = load_plan(root / "services.yml")
    compose.make_env_file()
    given = stand_ins(plan, "dev", ["sim"])
    assert compose.missing_variables(plan, ["sim"], given) == []
    assert compose.missing_variables(plan, ["tg"], {}) == ["TELEGRAM_BOT_TOKEN"]


def test_wrong_usage_of_compose_commands_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown verb or service has its message and exit code."""
    assert compose.main(["restart"]) == os.EX_USAGE
    assert compose.main(["log", "nobody"]) == os.EX_USAGE
    assert "no service is called 'nobody'; there are: redis" in capsys.readouterr().err


def test_a_second_setup_does_nothing() -> None:
    """With the environment in place neither disk nor network is touched."""
    stamp = ROOT / ".venv" / "herald.stamp"
    before = stamp.stat().st_mtime_ns
    done = run("infra.dev.environment")
    assert (done.returncode, done.stderr) == (0, "")
    assert stamp.stat().st_mtime_ns == before


def clone(folder: Path) -> Path:
    """Return a folder with the files that the commands read."""
    for file in ("services.yml", ".env.example"):
        shutil.copy(ROOT / file, folder)
    shutil.copytree(ROOT / "shared/spec", folder / "shared/spec")
    return folder
