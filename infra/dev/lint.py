"""`make lint`: style, shell, Dockerfiles, workflows, drift of everything that is generated."""

import shutil
import subprocess
import sys

from infra.dev.environment import ROOT
from infra.dev.steps import Step, run_steps


def tracked(*patterns: str) -> list[str]:
    """Return the files that git tracks and that match one of the patterns."""
    listing = subprocess.run(
        ("git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns),
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [name for name in listing.stdout.splitlines() if (ROOT / name).is_file()]


def shell_scripts() -> list[str]:
    """Return the tracked files that begin with a shell's shebang."""
    scripts = []
    for name in tracked():
        with (ROOT / name).open("rb") as file:
            first = file.readline(80)
        if first.startswith(b"#!") and first.rstrip().endswith((b"sh", b"bash")):
            scripts.append(name)
    return scripts


def compose_config() -> list[Step]:
    """Return Compose's own look at every overlay, where Compose is there; it needs no engine."""
    asks = ("docker", "compose", "version")
    if (
        shutil.which("docker") is None
        or subprocess.run(asks, capture_output=True, check=False).returncode
    ):
        return []
    overlays = {"dev": ("base", "dev"), "tests": ("tests",), "prod": ("prod",)}
    return [
        Step(
            f"compose config {name}",
            (
                *("docker", "compose", "--project-directory", "."),
                *(part for file in files for part in ("-f", f"infra/compose.{file}.yml")),
                *("config", "--quiet"),
            ),
        )
        for name, files in overlays.items()
    ]


def steps() -> list[Step]:
    """Return every check, the quick ones first."""
    python = sys.executable
    return [
        Step("ruff check", ("ruff", "check", "--quiet", ".")),
        Step("ruff format", ("ruff", "format", "--quiet", "--check", ".")),
        Step("shellcheck", ("shellcheck", *shell_scripts())),
        Step("hadolint", ("hadolint", *tracked("*Dockerfile", "*.dockerfile"))),
        Step(
            "workflows",
            (
                *("check-jsonschema", "--builtin-schema", "vendor.github-workflows"),
                *tracked(".github/workflows/*.yml"),
            ),
        ),
        Step(
            "zizmor",
            ("zizmor", "--offline", "--quiet", *tracked(".github/workflows/*.yml")),
        ),
        Step(
            "dependabot",
            (
                *("check-jsonschema", "--builtin-schema", "vendor.dependabot"),
                ".github/dependabot.yml",
            ),
        ),
        Step(
            "compose-lint",
            ("compose-lint", "check", "--fail-on", "low", *tracked("infra/compose.*.yml")),
        ),
        *compose_config(),
        Step("services.yml in sync", (python, "-m", "infra.stack", "sync", "--mode", "check")),
        Step("specs in sync", (python, "-m", "infra.codegen", "--mode", "check")),
    ]


if __name__ == "__main__":
    raise SystemExit(run_steps(steps()))
