"""Go back to the previous release, or to `--data to=RELEASE`."""

from pyinfra.api.deploy import deploy

from deploy import operations
from deploy.outcome import here


@deploy("Herald")
def rollback(to: str = "", without: str = "") -> None:
    """Go back to the previous release, or to another one that is kept."""
    operations.rollback(name="Go back to an earlier release", to=to, without=without)


if __name__ == "builtins":
    given = here().data
    rollback(to=str(given.get("to", "")), without=str(given.get("without", "")))
