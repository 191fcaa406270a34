"""Changes of a clone that are committed, so that they can be deployed."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.deploy.project import Project

AUTHOR = ("-c", "user.name=Test", "-c", "user.email=test@example.org")


def git(project: Project, *words: str) -> str:
    """Run git in the clone and return what it says."""
    command = ("git", *AUTHOR, *words)
    result = subprocess.run(
        command, cwd=project.checkout, capture_output=True, text=True, check=True
    )
    return result.stdout.strip()


def replace(project: Project, file: str, old: str, new: str) -> None:
    """Replace a text that a file has once, and commit that; what is rendered follows."""
    path = project.checkout / file
    text = path.read_text()
    assert text.count(old) == 1, f"{file} has {text.count(old)} of {old!r}"
    path.write_text(text.replace(old, new))
    commit(project, file)


def commit(project: Project, file: str) -> None:
    """Commit a file that was changed; what is rendered follows."""
    if file == "services.yml":
        sync = (sys.executable, "-m", "infra.stack", "sync")
        environment = project.environment()
        subprocess.run(sync, cwd=project.checkout, env=environment, check=True, capture_output=True)
    git(project, "commit", "--quiet", "--all", "--message", f"Change {file}")


def rename_stores(project: Project) -> None:
    """Call Redis `events` and PostgreSQL `store`, wherever services.yml names them."""
    path = project.checkout / "services.yml"
    path.write_text(renamed(path.read_text()))
    commit(project, "services.yml")


def renamed(text: str) -> str:
    """Return a services.yml with other names for its stores."""
    for old, new in (("redis", "events"), ("postgres", "store")):
        text = re.sub(rf"(?<!type: ){old}(?=:|$)", new, text, flags=re.MULTILINE)
    return text


@contextmanager
def undone(project: Project) -> Iterator[None]:
    """Leave the clone as it was, whatever is committed inside the block."""
    before = git(project, "rev-parse", "HEAD")
    try:
        yield
    finally:
        git(project, "reset", "--quiet", "--hard", before)


@contextmanager
def other_settings(project: Project, **settings: str) -> Iterator[None]:
    """Deploy with other settings inside the block: whoever reads them changes, and no image."""
    before = dict(project.settings)
    project.settings.update(settings)
    try:
        yield
    finally:
        project.settings = before


def new_version(project: Project, service: str, mark: str) -> None:
    """Change a service's sources so that it is another image that does the same."""
    file = f"services/{service}/src/{service}/__init__.py"
    text = (project.checkout / file).read_text()
    replace(project, file, text, f'{text.splitlines()[0]}\n\nVERSION = "{mark}"\n')
