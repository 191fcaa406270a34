"""A fork in a folder of its own: a clone of this checkout, as it is now, that may be changed."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IDENTITY = ("-c", "user.name=fork", "-c", "user.email=fork@example.org")


class Fork:
    """A repository with a history; its own sources come before those of this checkout."""

    def __init__(self, root: Path, herald: Path = ROOT, commit: str = "") -> None:
        """Clone a checkout: as it is now, or as it was at a commit."""
        self.root = root
        command = ("git", "clone", "--quiet", "--shared", str(herald), str(root))
        subprocess.run(command, check=True, capture_output=True)
        if commit:
            self.git("checkout", "--quiet", "-B", "ours", commit)
        else:
            self._take_what_is_not_committed(herald)

    def _take_what_is_not_committed(self, herald: Path) -> None:
        listing = ("git", "ls-files", "--cached", "--others", "--exclude-standard")
        for name in subprocess.check_output(listing, cwd=herald, text=True).splitlines():
            source, target = herald / name, self.root / name
            if not source.exists():
                target.unlink(missing_ok=True)
            elif not target.exists() or source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target, follow_symlinks=False)
        self.commit("Take what is not committed")

    def git(self, *words: str, check: bool = True) -> str:
        """Run git and return what it prints."""
        command = ("git", *IDENTITY, *words)
        done = subprocess.run(
            command, cwd=self.root, check=check, stdout=subprocess.PIPE, text=True
        )
        return done.stdout

    def has(self, commit: str) -> bool:
        """Whether a commit is in its history, which may be a shallow one."""
        return (
            self.git("rev-parse", "--quiet", "--verify", f"{commit}^{{commit}}", check=False) != ""
        )

    def commit(self, message: str) -> None:
        """Commit everything that there is."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--no-verify", "--message", message)

    @property
    def sources(self) -> list[str]:
        """The folders of its packages."""
        return [str(self.root / "shared/src"), *map(str, sorted(self.root.glob("services/*/src")))]

    def install(self, folder: Path) -> str:
        """Install its packages where no variable has to say so; return the interpreter.

        What they require is what this checkout has installed.
        """
        venv.create(folder, symlinks=True)
        (site,) = folder.glob("lib/python*/site-packages")
        lines = [*self.sources, sysconfig.get_path("purelib")]
        (site / "fork.pth").write_text("\n".join(lines), encoding="utf-8")
        return str(folder / "bin/python")

    def run(self, *command: str, python: str = sys.executable, **variables: str) -> str:
        """Run a module of the fork; return what it prints.

        Raises:
            AssertionError: it failed; says what it has printed.
        """
        path = os.pathsep.join([*self.sources, str(self.root)])
        tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            (python, "-m", *command),
            cwd=self.root,
            env={**os.environ, "PATH": tools, "PYTHONPATH": path, **variables},
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-6000:]}"
        return done.stdout
