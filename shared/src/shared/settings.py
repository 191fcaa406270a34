"""Settings from the environment: each variable also from a file, every mistake in one line.

A variable `NAME` may be given as `NAME_FILE`, the path of a file that holds the value, as Docker
secrets are (hub.docker.com/_/postgres describes the convention).
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)


class SettingsError(Exception):
    """The environment lacks something or holds nonsense; `str` is the finished line."""


def load_settings(model: type[M], environ: Mapping[str, str] | None = None) -> M:
    """Return the settings of a service: a model whose fields are its variables in lower case.

    An empty variable counts as missing, as Compose passes an unset one. Values never appear in an
    error, since some of them are secrets.

    Raises:
        SettingsError: names every variable that is missing or wrong, and where to set it.
    """
    environ = os.environ if environ is None else environ
    values = {}
    for field in model.model_fields:
        value = _read(field.upper(), environ)
        if value:
            values[field] = value
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None


def exit_with(error: SettingsError, service: str) -> NoReturn:
    """Say what is wrong and exit with EX_CONFIG (78), which no restart will mend."""
    sys.stderr.write(f"{service}: {error}\n")
    raise SystemExit(os.EX_CONFIG)


def _read(name: str, environ: Mapping[str, str]) -> str:
    path = environ.get(f"{name}_FILE")
    if not path:
        return environ.get(name, "").strip()
    if environ.get(name):
        raise SettingsError(f"{name} and {name}_FILE are both set; set one of them")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError(f"{name}_FILE names {path}, which cannot be read: {reason}") from None


def _explain(error: ValidationError) -> str:
    """Return one line that names every variable at fault, without any value."""
    missing, wrong = [], []
    for found in error.errors(include_input=False, include_url=False, include_context=False):
        name = ".".join(map(str, found["loc"])).upper()
        if found["type"] == "missing":
            missing.append(name)
        else:
            wrong.append(f"{name} is wrong: {found['msg'].removeprefix('Value error, ')}")
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        names = " and ".join(missing)
        wrong.insert(0, f"{names} {verb} missing: set it in .env or the environment")
    return "; ".join(wrong)
