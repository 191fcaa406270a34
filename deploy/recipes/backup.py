"""Save Redis and PostgreSQL on the host; `--data to=FOLDER` copies that here."""

from pyinfra.api.deploy import deploy

from deploy import operations
from deploy.outcome import here


@deploy("Herald")
def backup(to: str = "") -> None:
    """Save Redis and PostgreSQL on the host, and copy that into a folder here if one is given."""
    operations.backup(name="Save Redis and PostgreSQL", to=to)


if __name__ == "builtins":
    backup(to=str(here().data.get("to", "")))
