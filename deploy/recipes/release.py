"""Release this checkout.

`--data from=FOLDER` names a backup that a new host starts with, `--data without=NAME` one of three
servers that is gone.
"""

from pyinfra.api.deploy import deploy

from deploy import operations
from deploy.host.deploying import Prepared
from deploy.outcome import here


@deploy("Herald")
def release(data: str = "", common: Prepared | None = None, without: str = "") -> None:
    """Release this checkout, with the data of a backup where a folder of one is given."""
    operations.release(name="Release this checkout", data=data, common=common, without=without)


if __name__ == "builtins":
    given = here().data
    release(data=str(given.get("from", "")), without=str(given.get("without", "")))
