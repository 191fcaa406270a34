"""Write the hash-locked requirement files: one for the developer's environment, one an image.

The files name no download address, so they are the same behind any package mirror. A service's
file is constrained by the developer's: what the tests ran with is what the image holds.
"""

import subprocess
import sys

from infra.dev.environment import LOCK, PACKAGES, ROOT, UV_LOCK, find_uv, say

COMPILE = (
    *("pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header"),
    *("--no-emit-index-url", "--no-emit-find-links", "--python-version", "3.11"),
    *("--no-emit-package", "shared"),
)
SERVICES = tuple(package for package in PACKAGES if package.startswith("services/"))
UV = "uv>=0.13,<0.14\n"
BUILD_BACKEND = "hatchling\n"


def main() -> None:
    """Compile every lock file; `--upgrade` takes the newest versions that are allowed.

    `--service NAME` compiles that service's file only, from what the developer's file has.
    """
    flags = tuple(sys.argv[1:])
    if flags[:1] == ("--service",) and len(flags) == len(("--service", "NAME")):
        compile_service(f"services/{flags[1]}")
        return
    if flags not in {(), ("--upgrade",)}:
        sys.exit("usage: make pin [upgrade=1]")
    compile_lock(UV_LOCK.name, "-", *flags, stdin=UV)
    projects = [f"{package}/pyproject.toml" for package in PACKAGES]
    compile_lock(LOCK.name, *projects, "--all-extras", "--group", "dev", *flags)
    for service in SERVICES:
        compile_service(service)


def compile_service(service: str) -> None:
    """Resolve what one image holds, in the versions that the tests ran with."""
    sources = (f"{service}/pyproject.toml", "-", "--constraint", LOCK.name)
    compile_lock(f"{service}/requirements.txt", *sources, stdin=BUILD_BACKEND)


def compile_lock(output: str, *sources: str, stdin: str = "") -> None:
    """Resolve the sources into one file of pinned, hashed requirements."""
    command = (find_uv(), *COMPILE, *sources, "--output-file", output)
    say(f"locking {output}")
    if subprocess.run(command, cwd=ROOT, input=stdin, text=True, check=False).returncode:
        sys.exit(f"herald: could not lock {output}")


if __name__ == "__main__":
    main()
