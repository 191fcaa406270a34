"""A fork of every kind is green, and takes what Herald becomes later by `git merge`."""

from pathlib import Path

import pytest

from tests.forks.fork import Fork
from tests.forks.kinds import KINDS, NAME, make_fork

DECLARED = [
    f"tests/infra/test_{name}.py"
    for name in ("arrows", "documents", "environment_contract", "rules")
]
"""Tests that read what a fork declares, what it documents, and its sources."""
OWN = {
    "with_a_worker": "services/ledger/tests",
    "without_backend": "services/tg_bot/tests/test_conversation.py",
}
"""Tests of services that are not as in Herald."""

FIRST = "46fc81a4"
"""The commit that brought `make new`."""


@pytest.mark.timeout(600)  # a hundred tests, beside another suite
@pytest.mark.parametrize("kind", KINDS)
def test_a_fork_is_green(kind: str, tmp_path: Path) -> None:
    """What is rendered and generated is in sync; what depends on its declaration passes."""
    fork = make_fork(kind, tmp_path / "fork")
    fork.run("infra.stack", "sync", "--mode", "check")
    fork.run("infra.codegen", "--mode", "check")
    own = [OWN[kind]] if kind in OWN else []
    said = fork.run("pytest", "-q", "-n", "2", "--dist", "loadfile", *DECLARED, *own)
    assert " passed" in said
    assert "failed" not in said


def test_two_bots_have_tokens_of_their_own(tmp_path: Path) -> None:
    """In .env, among the secrets of prod, at the simulator: and the demo talks to both."""
    fork = make_fork("with_two_bots", tmp_path / "fork")
    given = (fork.root / ".env.example").read_text(encoding="utf-8").splitlines()
    assert {"TELEGRAM_BOT_TOKEN=", "SHOP_BOT_TOKEN="} <= set(given)
    prod = (fork.root / "infra/compose.prod.yml").read_text(encoding="utf-8")
    assert "TELEGRAM_BOT_TOKEN_FILE: /run/secrets/SHOP_BOT_TOKEN\n" in prod
    base = (fork.root / "infra/compose.base.yml").read_text(encoding="utf-8")
    assert "TELEGRAM_BOT_TOKEN: ${SHOP_BOT_TOKEN:-}\n" in base
    python = fork.install(tmp_path / "installed")
    first, second = fork.run("demo", python=python).split("to shop_bot")
    assert "to tg_bot" in first
    assert "Command published!" in first
    assert "Margherita" not in first
    assert "Margherita and Funghi." in second
    assert "Command published!" not in second


@pytest.mark.timeout(600)  # as above
@pytest.mark.parametrize("kind", ["renamed", "with_a_worker"])
def test_an_old_fork_becomes_todays(kind: str, tmp_path: Path) -> None:
    """What Herald had when forks began is merged with what it is: only rendered files conflict.

    They are rendered anew, CHANGELOG.md is followed, and what the fork declares and has changed is
    there. A clone that is too shallow to have the old commit begins with today's.
    """
    herald = Fork(tmp_path / "herald")
    begin = FIRST if herald.has(FIRST) else ""
    fork = make_fork(kind, tmp_path / "fork", herald.root, begin)
    handlers = fork.root / "services/tg_bot/src/tg_bot/handlers.py"
    handlers.write_text(f"{handlers.read_text(encoding='utf-8')}\nOURS = 1\n", encoding="utf-8")
    fork.commit("Change our bot")

    fork.git("pull", "--quiet", "--no-rebase", "--no-edit", "origin", "HEAD", check=False)
    for name in fork.git("diff", "--name-only", "--diff-filter=U").split():
        assert name.startswith(("infra/compose.", "infra/topology."))
    declared = fork.root / "services.yml"
    fork.run("infra.codegen")
    fork.run("infra.stack", "sync")
    _do_what_the_changelog_asks(fork)
    fork.commit("Merge what Herald has become")

    fork.git("merge-base", "--is-ancestor", herald.git("rev-parse", "HEAD").strip(), "HEAD")
    assert f"project: {NAME}\n" in declared.read_text(encoding="utf-8")
    assert "OURS = 1" in handlers.read_text(encoding="utf-8")
    settings = fork.root / "deploy/inventories/group_data/all.py"
    assert f'root = "/srv/{NAME}"' in settings.read_text(encoding="utf-8")
    own = [OWN[kind]] if kind in OWN else []
    said = fork.run("pytest", "-q", "-n", "2", "--dist", "loadfile", *DECLARED, *own)
    assert "failed" not in said


def _do_what_the_changelog_asks(fork: Fork) -> None:
    """Rename the module of a worker that undoes an event, and what its page says of it."""
    for old in fork.root.glob("services/ledger/src/ledger/forget.py"):
        module = old.rename(old.with_name("undo.py"))
        for path in (module, fork.root / "services/ledger/AGENTS.md"):
            text = path.read_text(encoding="utf-8").replace("forget", "undo")
            path.write_text(text, encoding="utf-8")


def test_a_fork_takes_what_herald_becomes(tmp_path: Path) -> None:
    """Both have changed since: the merge has no conflict, and what is rendered is in sync."""
    herald = Fork(tmp_path / "herald")
    fork = make_fork("without_backend", tmp_path / "fork", herald.root)
    handlers = fork.root / "services/tg_bot/src/tg_bot/handlers.py"
    handlers.write_text(f"{handlers.read_text(encoding='utf-8')}\nOURS = 1\n", encoding="utf-8")
    fork.commit("Change our bot")

    runtime = herald.root / "shared/src/shared/telegram/notices.py"
    runtime.write_text(f"{runtime.read_text(encoding='utf-8')}\nLATER = 1\n", encoding="utf-8")
    declared = herald.root / "services.yml"
    text = declared.read_text(encoding="utf-8").replace("default: 60\n", "default: 61\n")
    declared.write_text(text, encoding="utf-8")
    herald.run("infra.stack", "sync")
    herald.commit("Change the runtime and a default")

    fork.git("pull", "--quiet", "--no-rebase", "--no-edit", "origin", "HEAD")
    fork.run("infra.stack", "sync", "--mode", "check")
    assert "LATER = 1" in (fork.root / "shared/src/shared/telegram/notices.py").read_text("utf-8")
    assert "OURS = 1" in handlers.read_text(encoding="utf-8")
    declared = fork.root / "services.yml"
    assert f"project: {NAME}\n" in declared.read_text(encoding="utf-8")
    assert "default: 61\n" in declared.read_text(encoding="utf-8")
