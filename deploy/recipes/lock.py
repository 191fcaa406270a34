"""Keep everybody from deploying; `--data reason=TEXT` says why."""

from pyinfra.api.deploy import deploy

from deploy import operations
from deploy.outcome import here


@deploy("Herald")
def lock(reason: str = "by hand") -> None:
    """Keep everybody from deploying until `unlock`."""
    operations.lock(name="Keep everybody from deploying", reason=reason)


if __name__ == "builtins":
    lock(reason=str(here().data.get("reason", "by hand")))
