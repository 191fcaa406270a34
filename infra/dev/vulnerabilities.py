"""`make vulnerabilities`: hold every locked package to the public database of known weaknesses.

The database (OSV) is somebody else's and changes by the day, so this is no part of `make lint`: a
workflow runs it each week, and whenever a lock file changes.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence

from infra.dev.environment import LOCK, PACKAGES, ROOT, UV_LOCK

SECONDS = "15"


def main(options: Sequence[str]) -> int:
    """Print what is known about the locked packages; return the exit code.

    Returns:
        0: nothing is known. 1: something is; each line names package, weakness and remedy.
        69: the database could not be asked.
    """
    locks = [LOCK, UV_LOCK, *(ROOT / package / "requirements.txt" for package in PACKAGES)]
    files = [part for lock in locks if lock.is_file() for part in ("--requirement", str(lock))]
    command = (
        *(sys.executable, "-m", "pip_audit", "--vulnerability-service", "osv"),
        *("--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json"),
        *("--timeout", SECONDS, *files, *options),
    )
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except ValueError:
        reason = (done.stderr.strip() or "no answer").splitlines()[-1]
        print(f"the database of vulnerabilities cannot be asked: {reason}", file=sys.stderr)
        return os.EX_UNAVAILABLE
    weak = {
        f"{package['name']} {package['version']}: {weakness['id']}, mended in "
        f"{', '.join(weakness['fix_versions']) or 'no version yet'}"
        for package in packages
        for weakness in package.get("vulns", ())
    }
    print("\n".join(sorted(weak)) or f"{len(packages)} packages, no known vulnerability")
    return 1 if weak else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
