"""What a hand-over and its undoing do with containers of this engine, by the agent's functions."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.agent.cutover.handover import change_hands, put_back
from deploy.agent.cutover.journal import Switch
from deploy.agent.host import docker
from deploy.agent.host.audit import Audit
from deploy.agent.host.errors import AgentError
from deploy.agent.host.health import start, wait_until_healthy
from deploy.agent.host.redis_cli import Redis
from tests.deploy import server

WAITS = "trap 'exit 0' TERM; touch /shared/$0; sleep 600 & wait"
OLD = "trap 'rm -f /shared/old; exit 0' TERM; touch /shared/old; sleep 600 & wait"
NEW = "trap 'exit 0' TERM; if test -e /shared/old; then touch /shared/both; fi; sleep 600 & wait"


@pytest.fixture
def stack(servers_can_be_made: None) -> Iterator[str]:
    """A Compose project's name; what has it is removed."""
    project = f"undo-{uuid.uuid4().hex[:8]}"
    yield project
    for container in docker.containers(project):
        docker.remove(container.id)
    server.docker("volume", "rm", "--force", project)


def make(project: str, service: str, healthy: str, *command: str, patience: int = 9) -> str:
    """Make a container that has never run; its health check may take six times its patience."""
    labels = {docker.PROJECT_LABEL: project, docker.SERVICE_LABEL: service}
    words = [f"--label={name}={value}" for name, value in labels.items()]
    words += [f"--volume={project}:/shared", "--restart=always", f"--health-cmd={healthy}"]
    words += ["--health-interval=1s", f"--health-timeout={patience}s", "--health-retries=6"]
    return server.docker("create", *words, "--entrypoint", "", "redis:8", *command).strip()


def test_what_is_put_back_is_started_before_any_of_it_is_waited_for(
    stack: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first is healthy only once the second runs, and nothing is said against either."""
    old = {
        name: make(stack, name, "test -e /shared/web", "sh", "-c", WAITS, name)
        for name in ("page", "web")
    }
    new = make(stack, "web", "true", "false")
    switches = [Switch(name, "replace", old=[it], running=[it]) for name, it in old.items()]
    assert put_back(stack, switches, Audit(tmp_path / "audit.jsonl", "ada")) == []
    there = {container.id: container.running for container in docker.containers(stack)}
    assert new not in there
    assert there == dict.fromkeys(old.values(), True)
    assert capsys.readouterr().out == ""


def running(project: str) -> dict[str, tuple[bool, str]]:
    """Return whether each container of a project runs, and its restart policy, by its id."""
    return {each.id: (each.running, each.restart) for each in docker.containers(project)}


def run_old(project: str) -> str:
    """Start a container that says by a file that it runs; return its id when it does."""
    old = make(project, "web", "test -e /shared/old", "sh", "-c", OLD)
    start(old)
    wait_until_healthy(old)
    return old


@pytest.mark.parametrize("handover", ["replace", "overlap"])
def test_a_service_changes_hands_in_its_order_and_back(
    stack: str, tmp_path: Path, handover: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`replace` never runs both, and the old one does not come back by itself; `overlap` does."""
    old = run_old(stack)
    new = make(stack, "web", "true", "sh", "-c", NEW)
    switch = Switch("web", handover, old=[old], running=[old])
    audit = Audit(tmp_path / "audit.jsonl", "ada")
    change_hands(stack, [switch], audit)
    policy = "no" if handover == "replace" else "always"
    assert running(stack) == {old: (False, policy), new: (True, "always")}
    both = f"test {'!' if handover == 'replace' else ''} -e /shared/both"
    server.docker("exec", new, "sh", "-c", both)
    note = json.loads((tmp_path / "audit.jsonl").read_text().splitlines()[-1])
    # The old one is stopped within its part of the time, where it is stopped first.
    assert 0 <= note["healthy_seconds"] < 60
    assert note["stop_seconds"] > 0.05 if handover == "replace" else note["stop_seconds"] < 0.05
    assert f"web: healthy after {note['healthy_seconds']:.1f} s" in capsys.readouterr().out
    assert put_back(stack, [switch], audit) == []
    assert running(stack) == {old: (True, "always")}


def test_a_service_with_another_number_of_new_containers_keeps_its_old_ones(
    stack: str, tmp_path: Path
) -> None:
    """Too few or too many: nothing is stopped and nothing started."""
    old = run_old(stack)
    switch = Switch("web", "replace", old=[old], running=[old])
    audit = Audit(tmp_path / "audit.jsonl", "ada")
    with pytest.raises(AgentError, match="web: 0 containers were made, not 1"):
        change_hands(stack, [switch], audit)
    made = [make(stack, "web", "true", "sh", "-c", NEW) for _ in range(2)]
    with pytest.raises(AgentError, match="web: 2 containers were made, not 1"):
        change_hands(stack, [switch], audit)
    not_run = dict.fromkeys(made, (False, "always"))
    assert running(stack) == {old: (True, "always"), **not_run}


def test_what_is_not_healthy_any_more_runs_again_and_is_told(
    stack: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was there before; and what did not run then is left alone."""
    old = make(stack, "web", "false", "sh", "-c", OLD, patience=1)
    idle = make(stack, "web", "true", "sh", "-c", NEW)
    new = make(stack, "web", "true", "sh", "-c", NEW)
    switch = Switch("web", "replace", old=[old, idle], running=[old])
    assert put_back(stack, [switch], Audit(tmp_path / "audit.jsonl", "ada")) == []
    assert running(stack) == {old: (True, "always"), idle: (False, "always")}
    assert "web is back, but web is not healthy" in capsys.readouterr().out
    assert new not in running(stack)


def test_an_error_of_redis_is_told_as_one(stack: str) -> None:
    """Its client prints it in an answer's place and exits with 0: while data is loaded, for one."""
    container = make(stack, "redis", "redis-cli ping", "redis-server", "--save", "")
    start(container)
    wait_until_healthy(container)
    redis = Redis(container, "default", "/dev/null", "/data", "999:999")
    assert redis.ask("SET", "key", "text") == "OK"
    with pytest.raises(AgentError, match=r"Redis says: .*ERR no such key"):
        redis.ask("XINFO", "GROUPS", "nothing")
