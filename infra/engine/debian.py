"""Debian's packages: what this machine can install, from where, and from the next release."""

import functools
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from infra.engine.report import SetupError, run

SOURCES = Path("/etc/apt")
OS_RELEASE = Path("/etc/os-release")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# Another program may be installing something: wait for it as long as a person would.
APT = ("apt-get", "--quiet", "--yes", "-o", "DPkg::Lock::Timeout=300")
QUIET = {"DEBIAN_FRONTEND": "noninteractive"}


def require_debian() -> None:
    """Make sure that packages can be installed here.

    Raises:
        SetupError: This is another system, or we are not root.
    """
    name = release().get("PRETTY_NAME", "of an unknown kind")
    if release().get("ID") != "debian":
        raise SetupError(
            f"Docker can be set up by itself on Debian only, and this machine is {name}: "
            "install Docker Engine and Compose v2, start the engine, and run this again"
        )
    if os.geteuid():
        raise SetupError(
            "installing and starting Docker needs root: run 'sudo make docker-engine'", os.EX_NOPERM
        )


def release() -> dict[str, str]:
    """Return what /etc/os-release says, without its quotes; nothing where there is no such file."""
    try:
        lines = OS_RELEASE.read_text().splitlines()
    except FileNotFoundError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {name: value.strip("\"'") for name, _, value in pairs}


@functools.cache
def update() -> None:
    """Read the mirror's list of packages, once in a run."""
    run("reading the list of Debian's packages", (*APT, "update"), extra=QUIET)


def install(*packages: str) -> None:
    """Install packages and what they need, nothing that they merely recommend."""
    command = (*APT, "install", "--no-install-recommends", *packages)
    run(f"installing {' and '.join(packages)}", command, extra=QUIET)


def candidate(package: str) -> str | None:
    """Return the version of a package that apt would install here, None where there is none."""
    policy = run(f"looking up {package}", ("apt-cache", "policy", package))
    for line in policy.splitlines():
        name, _, version = line.strip().partition(": ")
        if name == "Candidate" and version != "(none)":
            return version
    return None


def mirror(folder: Path = SOURCES, codename: str = "") -> str:
    """Return the address from which this machine gets Debian, as apt's own sources name it.

    Args:
        folder: Where apt's sources are.
        codename: The release whose mirror is asked for; this machine's if empty.

    Raises:
        SetupError: No source of apt is a mirror of this release.
    """
    codename = codename or release().get("VERSION_CODENAME", "stable")
    for address, suite in sources(folder):
        if suite in {codename, "stable"} and address.startswith(("http://", "https://")):
            return address.rstrip("/")
    raise SetupError(f"no http source of {codename} is in {folder}/sources.list or sources.list.d")


def sources(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield address and suite of every binary source, in apt's order; see sources.list(5)."""
    parts = sorted((folder / "sources.list.d").glob("*"))
    for path in (folder / "sources.list", *parts):
        if path.suffix == ".list" and path.is_file():
            yield from one_line_sources(path.read_text().splitlines())
        elif path.suffix == ".sources" and path.is_file():
            yield from stanza_sources(path.read_text())


def one_line_sources(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the sources of the form `deb [options] address suite components`."""
    for line in lines:
        kind, _, rest = line.partition("#")[0].strip().partition(" ")
        if kind != "deb":
            continue
        words = rest.split("]", 1)[-1].split()
        if len(words) > 1:
            yield words[0], words[1]


def stanza_sources(text: str) -> Iterator[tuple[str, str]]:
    """Yield the sources of deb822 stanzas; a field may go on in lines that start with a space."""
    for stanza in "\n".join(without_comments(text)).split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line[:1] in {" ", "\t"}:
                fields[name] = f"{fields.get(name, '')} {line}"
                continue
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "").strip() != "no":
            for address in fields.get("uris", "").split():
                for suite in fields.get("suites", "").split():
                    yield address, suite


def without_comments(text: str) -> Iterator[str]:
    """Yield the lines that are no comments."""
    return (line.rstrip() for line in text.splitlines() if not line.startswith("#"))


def borrow(suite: str, programs: Mapping[Path, tuple[str, str]]) -> None:
    """Put programs of another release's packages in place, without installing the packages.

    apt fetches it with lists of its own, so its signature is checked as always and the machine's
    own sources stay as they are.

    Args:
        suite: The release.
        programs: Package, and path in it, by where the program is to be.
    """
    install("debian-archive-keyring")
    with tempfile.TemporaryDirectory(prefix="herald-apt-") as name:
        folder = Path(name)
        shutil.chown(folder, "_apt")  # apt fetches as a user of its own, who writes here
        (folder / "lists" / "partial").mkdir(parents=True)
        listing = folder / "sources.list"
        listing.write_text(f"deb [signed-by={KEYRING}] {mirror()} {suite} main\n")
        apart = (
            *("-o", f"Dir::Etc::sourcelist={listing}", "-o", "Dir::Etc::sourceparts=-"),
            *("-o", f"Dir::State::lists={folder / 'lists'}", "-o", f"Dir::Cache={folder}"),
        )
        run(f"reading the list of packages of {suite}", (*APT, *apart, "update"))
        packages = sorted({package for package, _ in programs.values()})
        names = " and ".join(packages)
        run(f"fetching {names} of {suite}", (*APT, *apart, "download", *packages), cwd=folder)
        for archive in folder.glob("*.deb"):
            unpack = ("dpkg-deb", "--extract", str(archive), str(folder / "root"))
            run(f"unpacking {archive.name}", unpack)
        for target, (_, program) in programs.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.name}.partial")
            shutil.copy(folder / "root" / program, partial)
            partial.chmod(0o755)
            partial.rename(target)
