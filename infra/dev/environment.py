"""Make the developer's environment: uv in .tools/, every locked package in .venv/.

Runs on the machine's own Python with the standard library only, so that a clone needs git, make
and Python 3.11 or newer, nothing else. A second run whose inputs have not changed touches neither
the disk nor the network.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools"
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements-dev.txt"
UV_LOCK = ROOT / "requirements-uv.txt"
PACKAGES = (
    "shared",
    *sorted(f"services/{file.parent.name}" for file in ROOT.glob("services/*/pyproject.toml")),
)
STAMP = VENV / "herald.stamp"
MINIMUM = (3, 11)
BASE_PYTHON = os.path.realpath(sys.executable)  # the same one from inside .venv


def main() -> None:
    """Make the environment, or leave it alone when it is already the locked one."""
    if sys.version_info < MINIMUM:
        sys.exit(
            f"herald: Python {MINIMUM[0]}.{MINIMUM[1]} or newer is needed, {sys.executable} is "
            f"{sys.version.split()[0]}; name another with: make PYTHON=python3.13 …"
        )
    wanted = fingerprint()
    if STAMP.is_file() and STAMP.read_text() == wanted:
        return
    faults = list(unlocked(ROOT, PACKAGES))
    if faults:
        print(*faults, "herald: run: make pin", sep="\n", file=sys.stderr)
        sys.exit(os.EX_DATAERR)
    say("setting up .venv (once, and again when a lock file changes)")
    uv = find_uv()
    run(uv, "venv", "--quiet", "--allow-existing", "--python", BASE_PYTHON, str(VENV))
    run(uv, "pip", "sync", "--quiet", "--require-hashes", *in_venv(), str(LOCK))
    editable = [part for package in PACKAGES for part in ("--editable", f"./{package}")]
    local = ("--no-deps", "--no-build-isolation", "--offline")
    run(uv, "pip", "install", "--quiet", *local, *in_venv(), *editable)
    STAMP.write_text(wanted)


def fingerprint() -> str:
    """Return a digest of everything that decides what the environment holds."""
    digest = hashlib.sha256(f"{BASE_PYTHON} {sys.version} {ROOT}".encode())
    for path in (LOCK, UV_LOCK, *(ROOT / package / "pyproject.toml" for package in PACKAGES)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def unlocked(root: Path, packages: tuple[str, ...]) -> Iterator[str]:
    """Yield, with its place, each dependency that a lock file lacks or has in another version."""
    for package in packages:
        name = f"{package}/pyproject.toml"
        text = (root / name).read_text(encoding="utf-8")
        project = tomllib.loads(text)["project"]
        extras = project.get("optional-dependencies", {}).values()
        for wanted in (
            *project.get("dependencies", ()),
            *(part for extra in extras for part in extra),
        ):
            fault = fault_of(wanted, root, package)
            if fault:
                before = text[: text.index(f'"{wanted}"')]
                line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
                yield f"{name}:{line}:{column}: {fault}"


def fault_of(wanted: str, root: Path, package: str) -> str:
    """Return what is wrong with how a requirement is locked; nothing where it is one of ours."""
    name, _, version = wanted.partition(";")[0].partition("==")
    name = re.split(r"[\[<>=!~ ]", name)[0]
    locks = (LOCK.name, *([f"{package}/requirements.txt"] if package != "shared" else []))
    for lock in locks if name != "shared" else ():
        file = root / lock
        pins = re.findall(
            r"^([\w.-]+)==([^ ]+)", file.read_text() if file.is_file() else "", re.MULTILINE
        )
        locked = {normal(pinned): number for pinned, number in pins}
        if normal(name) not in locked:
            return f"'{name}' is not in {lock}"
        if version and locked[normal(name)] != version.strip():
            return f"'{name}' is {locked[normal(name)]} in {lock}"
    return ""


def normal(name: str) -> str:
    """Return a package's name as the registry compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def find_uv() -> str:
    """Return the path of the locked uv, fetched with pip into .tools/ where it is missing."""
    target = TOOLS / f"uv-{hashlib.sha256(UV_LOCK.read_bytes()).hexdigest()[:12]}"
    uv = target / "bin" / "uv"
    if uv.is_file():
        return str(uv)
    if importlib.util.find_spec("pip") is None:
        installed = shutil.which("uv")
        if installed:
            return installed
        sys.exit(
            "herald: this Python has neither pip nor uv; install one of them, for example "
            "'apt-get install python3-pip', and run the same command again"
        )
    partial = TOOLS / f"{target.name}.{os.getpid()}"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    quiet = {"PIP_ROOT_USER_ACTION": "ignore", "PIP_NO_WARN_SCRIPT_LOCATION": "1"}
    try:
        run(*pip, "--require-hashes", "--target", str(partial), "-r", str(UV_LOCK), **quiet)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return str(uv)


def in_venv() -> tuple[str, str]:
    """Return the arguments that point a uv command at the environment."""
    return ("--python", str(VENV))


def run(*command: str, **extra: str) -> None:
    """Run one command in the repository; its failure is ours, with its own message above it."""
    env = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(VENV), **extra}
    env.pop("VIRTUAL_ENV", None)
    finished = subprocess.run(command, cwd=ROOT, env=env, check=False)
    if finished.returncode:
        sys.exit(f"herald: could not set up the environment: {Path(command[0]).name} failed")


def say(text: str) -> None:
    """Tell the person at the terminal what is being waited for."""
    print(f"herald: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
