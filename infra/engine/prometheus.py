"""Prometheus, Alertmanager and their tools from Debian's packages: as programs, not as services.

Debian's packages start what they install; here they are unpacked and nothing else. They are those
of the release that the stand-ins are made of, whatever this machine runs.
"""

import fcntl
from pathlib import Path

from infra.engine import debian
from infra.engine.report import ROOT

SUITE = "trixie"
FOLDER = ROOT / ".tools/prometheus"
# Debian's Alertmanager has these names in its program, and does not start without the files.
TEMPLATES = Path("/usr/share/prometheus/alertmanager")
PROGRAMS = {
    FOLDER / "prometheus": ("prometheus", "usr/bin/prometheus"),
    FOLDER / "promtool": ("promtool", "usr/bin/promtool"),
    FOLDER / "alertmanager": ("prometheus-alertmanager", "usr/bin/prometheus-alertmanager"),
    FOLDER / "amtool": ("prometheus-alertmanager", "usr/bin/amtool"),
    **{
        TEMPLATES / name: ("prometheus-alertmanager", f"{TEMPLATES}/{name}".lstrip("/"))
        for name in ("default.tmpl", "email.tmpl")
    },
}


def ensure_prometheus() -> Path:
    """Return the folder of prometheus, promtool, alertmanager and amtool; fetch them if need be.

    Raises:
        SetupError: This machine is no Debian, or we are not root there.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all(program.is_file() for program in PROGRAMS):
            debian.require_debian()
            debian.borrow(SUITE, PROGRAMS)
    return FOLDER
