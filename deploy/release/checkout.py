"""What is deployed is a commit: a clean checkout, with everything rendered up to date."""

import subprocess
from pathlib import Path

from deploy.errors import DataError, UsageError
from infra.places.diagnostics import nearest
from infra.places.writing import diff
from infra.stack import InputError, Plan, load_plan
from infra.stack.compose.documents import compose_files
from infra.stack.rendering import render

ROOT = Path(__file__).resolve().parents[2]
SHOWN = 3


def load(root: Path = ROOT) -> Plan:
    """Return the plan of services.yml.

    Raises:
        DataError: It has mistakes, or what is rendered from it is out of date.
    """
    try:
        plan = load_plan(root / "services.yml")
    except InputError as error:
        raise DataError(str(error)) from None
    if diff(root, render(plan, root).texts):
        raise DataError("files rendered from services.yml are out of date; run: make sync-services")
    return plan


def check_service(plan: Plan, name: str) -> None:
    """Make sure that prod has a service of that name, infrastructure too.

    Raises:
        UsageError: It has not; the message has the nearest name.
    """
    known = list(compose_files(plan)["prod"]["services"])
    if name not in known:
        raise UsageError(f"no service is called {name!r}{nearest(name, known)}")


def with_module(plan: Plan, module: str, root: Path = ROOT) -> list[str]:
    """Return the services whose package has a module of that name."""
    return [
        service.name
        for service in plan.services
        if (root / "services" / service.name / "src" / service.name / f"{module}.py").is_file()
    ]


def commit(root: Path = ROOT) -> str:
    """Return the commit that is checked out.

    Raises:
        DataError: This is no repository, or something in it is not committed.
    """
    status = git(root, "status", "--porcelain")
    if status:
        changes = status.splitlines()
        names = ", ".join(line[3:] for line in changes[:SHOWN])
        more = f" and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
        raise DataError(f"the checkout is dirty ({names}{more}); commit or stash it, then deploy")
    return git(root, "rev-parse", "HEAD")


def git(root: Path, *arguments: str) -> str:
    """Return what git says.

    Raises:
        DataError: It fails.
    """
    result = subprocess.run(
        ("git", *arguments), cwd=root, capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise DataError(f"git {arguments[0]} failed: {result.stderr.strip()}")
    return result.stdout.rstrip()  # a line of its status may begin with a blank
