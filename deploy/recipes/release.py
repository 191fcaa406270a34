"""Release this checkout.

`--data from=FOLDER` names a backup that a new host starts with, `--data without=NAME` one of three
servers that is gone, `--data moving=NAME` one whose data goes to three, or that goes on alone.
"""

from pyinfra.api.deploy import deploy

from deploy import operations
from deploy.host.deploying import Prepared
from deploy.outcome import here


@deploy("Herald")
def release(
    data: str = "", common: Prepared | None = None, without: str = "", moving: str = ""
) -> None:
    """Release this checkout, with the data of a backup where a folder of one is given."""
    name = "Release this checkout"
    operations.release(name=name, data=data, common=common, without=without, moving=moving)


if __name__ == "builtins":
    given = here().data
    without, moving = (str(given.get(option, "")) for option in ("without", "moving"))
    release(data=str(given.get("from", "")), without=without, moving=moving)
