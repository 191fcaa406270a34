"""Caddy from Debian's package: as a program, not as a service; the one that the stand-in has."""

import fcntl
from pathlib import Path

from infra.engine import debian
from infra.engine.report import ROOT

SUITE = "trixie"
PROGRAM = ROOT / ".tools/caddy/caddy"


def ensure_caddy() -> Path:
    """Return the program; fetch it if need be.

    Raises:
        SetupError: This machine is no Debian, or we are not root there.
    """
    PROGRAM.parent.mkdir(parents=True, exist_ok=True)
    with (PROGRAM.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not PROGRAM.is_file():
            debian.require_debian()
            debian.borrow(SUITE, {PROGRAM: ("caddy", "usr/bin/caddy")})
    return PROGRAM
