"""What works but is probably not meant is told, and stops nothing."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.stack.__main__ import main

HEAD = """\
version: 1
project: demo
infrastructure: {redis: {type: redis}}
services:
  - name: worker
    type: python
    env: {REDIS_URL: {from: redis}}
"""


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("    publishes: [reminder_due]", "8:17: warning: nobody subscribes to 'reminder_due'"),
        ("    subscribes: [reminder_due]", "8:18: warning: nobody publishes 'reminder_due'"),
        (
            "    port: 80\n    publish: {tests: [8080]}",
            "9:22: warning: two test runs at once would want the same port; use 0",
        ),
        (
            "    data: /data\n    replicas: 2",
            "8:11: warning: 2 replicas would write to the same folder",
        ),
        (
            '  - name: web\n    type: image\n    image: "nginx:1.27"',
            "10:12: warning: 'nginx:1.27' has no digest (@sha256:…), so its tag may be moved",
        ),
    ],
)
def test_a_warning_has_its_place_and_stops_nothing(
    lines: str, said: str, repository: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The line is like an error's, the files are written, and the exit code is 0."""
    path = repository(f"{HEAD}{lines}\n")
    assert main(["--file", str(path), "sync"]) == 0
    assert capsys.readouterr().err == f"services.yml:{said}\n"
    assert (path.parent / "infra/compose.prod.yml").is_file()


def test_check_prints_a_diff_and_exits_with_1(
    repository: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that was edited by hand is shown as a unified diff, and left alone."""
    path = repository()
    assert main(["--file", str(path), "sync"]) == 0
    edited = path.parent / "infra/compose.base.yml"
    text = edited.read_text(encoding="utf-8")
    edited.write_text(text.replace("read_only: true", "read_only: false"), encoding="utf-8")
    capsys.readouterr()
    assert main(["--file", str(path), "sync", "--mode", "check"]) == 1
    said = capsys.readouterr()
    assert "\n-    read_only: false\n+    read_only: true\n" in said.out
    assert said.err == "herald: rendered files differ; run: make sync-services\n"
    assert "read_only: false" in edited.read_text(encoding="utf-8")


def test_a_run_that_changes_nothing_touches_nothing(
    repository: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Files that are up to date keep their inode and time; what is written is 0644."""
    path = repository()
    assert main(["--file", str(path), "sync"]) == 0
    files = [file for file in (path.parent / "infra").rglob("*") if file.is_file()]
    before = {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in files}
    assert {file.stat().st_mode & 0o777 for file in files} == {0o644}
    capsys.readouterr()
    assert main(["--file", str(path), "sync"]) == 0
    assert capsys.readouterr().out == ""
    assert {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in files} == before


def test_a_usage_error_exits_with_64() -> None:
    """An unknown mode is answered with the usage, not a traceback."""
    command = [sys.executable, "-m", "infra.stack", "sync", "--mode", "perhaps"]
    root = Path(__file__).resolve().parents[2]
    finished = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert finished.returncode == 64
    assert "herald: argument --mode: invalid choice: 'perhaps'" in finished.stderr
