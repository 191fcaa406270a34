"""The command's verbs besides sync: explain and secrets."""

import os
import stat
from pathlib import Path

import pytest

from infra.stack import Service, load_plan
from infra.stack.__main__ import main
from infra.stack.compose.secret_folder import fill
from infra.stack.compose.secrets import secret_files
from shared.keys import dead_letters_of
from tests.infra.stack import STACK

ROOT = Path(__file__).resolve().parents[2]
FILE = ("--file", str(STACK))


def test_explain_shows_every_value_and_its_origin(capsys: pytest.CaptureFixture[str]) -> None:
    """Written, derived and default values are told apart, with the line of each variable."""
    assert main([*FILE, "explain", "tg_bot"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for line in (
        "command python -m tg_bot [default]",
        "profiles tg, sim [services.yml]",
        "env API_BASE_URL http://backend:8000 [from backend.url (services.yml:",
        "env LOG_LEVEL INFO [default; .env may change it (services.yml:",
        "read_only its file system is read-only",
        f"(~command_received ~{dead_letters_of('command_received')} ",
    ):
        assert line in said


@pytest.mark.parametrize("service", load_plan(STACK).services)
def test_explain_leaves_no_variable_out(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every declared variable of every service is in its table."""
    assert main([*FILE, "explain", service.name]) == 0
    said = capsys.readouterr().out
    assert all(f"env {variable.name} " in said for variable in service.env)


def test_explain_shows_an_opt_out_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A protection that is off cannot be overlooked."""
    path = tmp_path / "services.yml"
    path.write_text(
        "version: 1\nproject: demo\nservices:\n  - name: web\n    type: image\n"
        '    image: "nginx:1.27"\n    opt_out: {read_only: It writes beside its code.}\n'
    )
    assert main(["--file", str(path), "explain", "web"]) == 0
    assert "OFF: It writes beside its code.  [opt_out]" in capsys.readouterr().out


def test_explain_of_an_unknown_name_suggests_one(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt name is a usage error with the nearest name."""
    assert main([*FILE, "explain", "tgbot"]) == 64
    assert capsys.readouterr().err == (
        "herald: 'tgbot' is no service or infrastructure; did you mean 'tg_bot'?\n"
    )


def test_secrets_makes_passwords_and_names_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What can be made is made once; what somebody has to give is named, and that is exit 78."""
    folder = tmp_path / "secrets"
    assert main([*FILE, "secrets", "--folder", str(folder)]) == 78
    said = capsys.readouterr()
    assert f"{folder}/TELEGRAM_BOT_TOKEN is missing: Token of the bot" in said.err
    assert f"wrote {folder}/POSTGRES_PASSWORD" in said.out
    password = (folder / "POSTGRES_PASSWORD").read_text()
    assert f":{password}@postgres:5432/" in (folder / "BACKEND_DATABASE_URL").read_text()

    (folder / "TELEGRAM_BOT_TOKEN").write_text("42:a-simulated-token-opens-nothing-anywhere")
    assert main([*FILE, "secrets", "--folder", str(folder)]) == 0
    assert capsys.readouterr().out == ""
    assert (folder / "POSTGRES_PASSWORD").read_text() == password


def test_a_secret_is_readable_by_its_container_only(tmp_path: Path) -> None:
    """As root a file belongs to the container's user; otherwise the folder keeps others out."""
    plan = load_plan(STACK)
    fill(plan, tmp_path / "secrets")
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    for secret in secret_files(plan):
        path = tmp_path / "secrets" / secret.name
        if not path.exists():
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        if not secret.readers:
            assert mode == 0o600
        elif os.geteuid() == 0:
            assert (mode, f"{path.stat().st_uid}:{path.stat().st_gid}") == (0o400, secret.user)
        else:
            assert mode == 0o444
