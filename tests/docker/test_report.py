"""Claims about what the person at the terminal sees."""

import os

import pytest

from infra.engine import report


def test_quick_things_are_not_mentioned(capsys: pytest.CaptureFixture[str]) -> None:
    """What takes under two seconds is not worth a line."""
    report.run("being quick", ("true",))
    assert capsys.readouterr().err == ""


def test_slow_things_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """What takes longer is named while it goes on, then how long it took."""
    report.run("being slow", ("sleep", "2.5"))
    named, done = capsys.readouterr().err.splitlines()
    assert named == "herald: being slow …"
    assert done.startswith("herald:   done in ")


def test_a_failure_is_one_line() -> None:
    """It says what failed, the first error of the command, and where the rest is."""
    script = "echo reading; echo 'E: no such package'; echo 'E: giving up'; exit 100"
    with pytest.raises(report.SetupError) as caught:
        report.run("installing it", ("sh", "-c", script))
    message = str(caught.value)
    assert message.startswith("installing it failed: E: no such package (")
    assert str(report.log_file()) in message
    assert caught.value.code == os.EX_UNAVAILABLE
    assert "E: giving up" in report.log_file().read_text()


def test_a_missing_program_is_one_line() -> None:
    """A program that is not there is named."""
    with pytest.raises(report.SetupError, match="no-such-program is not installed"):
        report.run("trying it", ("no-such-program",))


def test_the_last_line_stands_in_for_an_error() -> None:
    """Without a line that is an error, the last words are the reason; without any, it says so."""
    assert report.last_words(["one", "two", ""]) == "two"
    assert report.last_words([]) == "it said nothing"
