"""Set up Docker on this machine: engine, Compose, and the images that Herald builds on."""

import argparse
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.engine import compose, daemon, registry, stand_ins
from infra.engine.report import SetupError, say, step
from infra.engine.stand_ins import Recipe

DESCRIPTION = f"""\
Leaves a running Docker engine, the Compose plugin, and the images that ours are built from:
{", ".join(stand_ins.RECIPES)}. What is there already is left alone.

On Debian, as root, a missing engine or plugin is installed from Debian's packages and started;
without systemd the engine runs detached and logs to /var/log/dockerd.log. The images are pulled;
where their registry cannot be reached, stand-ins for them are made from Debian's packages under
the same names. 'docker image rm NAME' makes the next run try the registry again.
"""
EPILOG = """\
exit codes: 0 ready, 64 wrong usage, 69 something needed is not to be had, 77 root is needed
"""
LOCK = Path("/run/herald-docker.lock")


def main() -> int:
    """Do what the command line says; the one place that prints a failure and chooses the exit."""
    options = parse()
    try:
        prepare({**stand_ins.RECIPES, **(stand_ins.SERVERS if options.server else {})})
    except SetupError as error:
        say(str(error))
        return error.code
    except KeyboardInterrupt:
        say("interrupted; run the same command again to go on")
        return 130
    return os.EX_OK


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python3 -m infra.engine",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--server",
        action="store_true",
        help="also make what deploy tests deploy to: herald-test-server:bare, Debian with sshd, "
        "herald-test-server:trixie, which has a Docker engine of its own besides, "
        "herald-test-server:bookworm, Debian 12 with systemd, and herald-test-registry:trixie",
    )
    try:
        return parser.parse_args()
    except SystemExit as stop:
        sys.exit(os.EX_USAGE if stop.code else os.EX_OK)


def prepare(recipes: dict[str, Recipe]) -> None:
    """Make everything ready; looks first, and waits for nobody where nothing is to be done."""
    with step("looking for the Docker engine"):
        if daemon.ask() is None and compose.works() and not stand_ins.missing(recipes):
            return
    with alone():
        daemon.ensure_engine()
        compose.ensure_compose()
        ensure_images(recipes)
    say("the Docker engine, Compose and all images are ready")


@contextmanager
def alone() -> Iterator[None]:
    """Let one run at a time change the machine; the others wait, then find everything done."""
    if os.geteuid():
        yield
        return
    with LOCK.open("w") as lock:
        with step("waiting for another run of this command"):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def ensure_images(recipes: dict[str, Recipe]) -> None:
    """Pull what is missing; once the registry is out of reach, make the rest here."""
    missing = stand_ins.missing(recipes)
    reachable = True
    for image in [image for image in missing if image not in stand_ins.SERVERS]:
        reachable = registry.pull(image)
        if not reachable:
            break
        missing.remove(image)
    if not missing:
        return
    for suite in sorted({recipes[image].suite for image in missing}):
        if stand_ins.base_is_missing(suite) and not (
            reachable and registry.pull(stand_ins.base(suite))
        ):
            stand_ins.build_base(suite)
    stand_ins.build(missing, recipes)


if __name__ == "__main__":
    sys.exit(main())
