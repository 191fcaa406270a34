"""Put a backup in place: `--data from=NAME`, or a folder here, with a slash in its name."""

from pyinfra.api.deploy import deploy

from deploy import operations
from deploy.outcome import here


@deploy("Herald")
def restore(source: str) -> None:
    """Put a backup in place; today's data is backed up first."""
    operations.restore(name="Put a backup in place", source=source)


if __name__ == "builtins":
    restore(source=str(here().data.get("from", "")))
