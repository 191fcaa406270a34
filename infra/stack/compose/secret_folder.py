"""Fill the folder of secrets: make what can be made, say what has to be put there."""

import os
from pathlib import Path

from infra.places.writing import write_file
from infra.stack.compose.secrets import Secret, contents, secret_files
from infra.stack.plan import Plan

FOLDER_MODE = 0o700
OWNED = 0o400
SHARED = 0o444
PRIVATE = 0o600


def fill(plan: Plan, folder: Path) -> tuple[list[str], list[Secret]]:
    """Write every secret that can be made; return the names written and what is missing.

    As root each file belongs to the user of the container that mounts it and only that user may
    read it. Without root nobody else's file can be made, so the files are readable in a folder
    that only we may enter: containers get at them through their mounts, other people do not.
    """
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    folder.chmod(FOLDER_MODE)
    files = secret_files(plan)
    present = {
        secret.name: (folder / secret.name).read_text(encoding="utf-8")
        for secret in files
        if (folder / secret.name).is_file()
    }
    wanted = contents(plan, present)
    written = [
        secret.name for secret in files if wanted.get(secret.name) != present.get(secret.name)
    ]
    for secret in files:
        if secret.name in wanted:
            write_file(folder / secret.name, wanted[secret.name], *_access(secret))
    return written, [secret for secret in files if secret.name not in wanted]


def _access(secret: Secret) -> tuple[int, tuple[int, int] | None]:
    """Return the mode and owner of a secret's file."""
    if not secret.readers:
        return PRIVATE, None
    if os.geteuid() != 0:
        return SHARED, None
    user, _, group = secret.user.partition(":")
    return OWNED, (int(user), int(group or user))
