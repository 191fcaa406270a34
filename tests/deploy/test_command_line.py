"""The command line of deploys, and what it becomes on a host."""

from dataclasses import replace

import pytest

from deploy.inventory import Host
from deploy.make import cli
from deploy.release import checkout
from deploy.ssh import commands


@pytest.mark.parametrize(
    ("words", "output"),
    [
        ((), "no verb"),
        (("fly",), "no verb is called 'fly'"),
        (("status", "dry=1"), "status does not take 'dry=1'"),
        (("deploy", "staging"), "deploy does not take 'staging'"),
        (("deploy", "dry=yes"), "dry is 1 or 0, not 'yes'"),
    ],
)
def test_a_wrong_call_is_answered_with_help(
    words: tuple[str, ...], output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And with exit code 64."""
    assert cli.main(words) == 64
    assert output in capsys.readouterr().err


def test_every_verb_is_in_the_help_and_in_the_makefile() -> None:
    """What cannot be found is not there."""
    makefile = (checkout.ROOT / "Makefile").read_text()
    for name in cli.VERBS:
        assert f"  {name}" in cli.usage()
        assert f"\n{name}: ##" in makefile


def test_root_is_asked_for_only_where_we_are_not_root() -> None:
    """Arguments are quoted for the remote shell in both cases."""
    host = Host("a", "lab", "a", user="deploy")
    assert commands.sudo(host, "echo", "a b") == "sudo -n echo 'a b'"
    assert commands.sudo(replace(host, user="root"), "echo", "a b") == "echo 'a b'"
