"""Let everybody deploy again."""

from pyinfra.api.deploy import deploy

from deploy import operations


@deploy("Herald")
def unlock() -> None:
    """Take the lock away, whoever holds it."""
    operations.unlock(name="Let everybody deploy again")


if __name__ == "builtins":
    unlock()
