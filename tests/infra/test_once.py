"""What has to be written in two languages says the same in both."""

import re
from pathlib import Path
from typing import get_args

from infra.stack.declared.defaults import LOGS, PYTHON_USER
from shared.settings import LogFormat, LogLevel

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "services/Dockerfile").read_text(encoding="utf-8")


def test_images_run_as_the_user_that_compose_runs_them_as() -> None:
    """What belongs to one in a volume or in secrets/ is the other's."""
    user, group = PYTHON_USER.split(":")
    assert f"--uid {user} " in DOCKERFILE
    assert f"--gid {group} " in DOCKERFILE
    assert f"\nUSER {PYTHON_USER}\n" in DOCKERFILE


def test_services_lie_where_their_python_looks() -> None:
    """An update of the base image alone would leave them out of its sight."""
    (version,) = re.findall(r"^FROM python:([\d.]+)", DOCKERFILE, re.MULTILINE)
    assert set(re.findall(r"lib/python([\d.]+)/", DOCKERFILE)) == {version}


def test_the_variables_of_logs_name_what_is_taken() -> None:
    """Their descriptions list the values, and their defaults are among them."""
    for name, kind in (("LOG_LEVEL", LogLevel), ("LOG_FORMAT", LogFormat)):
        variable, values = LOGS[name], get_args(kind)
        assert variable.default in values
        assert [word for word in re.findall(r"\w+", variable.description) if word in values] == [
            *values
        ]
