"""Names that come from a server or out of a folder lead nowhere but where they belong."""

import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from deploy.agent.data import restore
from deploy.agent.data.backup import kept
from deploy.agent.host import names
from deploy.agent.host.errors import AgentError
from deploy.agent.host.layout import Layout
from deploy.errors import DataError
from deploy.host import backups
from deploy.inventory import Host
from deploy.ssh.link import Link

AT = "2026-01-01T03:00:00Z"
NAME = "20260101T030000Z"
CRAFTED = (
    *("../../x", "..", ".", "", "/etc", "x/y", "-rf", "$(touch x)", " "),
    *(f"{NAME}\n", f"{NAME}/..", f"../{NAME}", f"{NAME}\0", f"{NAME}\x1b[2J"),
    *(
        "\uff12\uff10\uff12\uff160101T030000Z",
        "\u0662\u0660\u0662\u06660101T030000Z",
        f"{NAME}-ABCDEF01",
        f"{NAME}-\u0430bcdef01",
    ),
)


@pytest.mark.parametrize("name", CRAFTED, ids=ascii)
def test_only_a_whole_plain_name_is_one(name: str) -> None:
    """Of a backup, a release, a moment, a file and a digest alike."""
    assert not any(names.fits(kind, name) for kind in names.SHAPES)


def test_what_is_made_here_is_a_name() -> None:
    """Or nothing could be backed up, sent or restored."""
    assert names.fits("backup", NAME)
    assert names.fits("backup", f"{NAME}-0123abcd")
    assert names.fits("release", f"{NAME}-0123456789ab")
    assert names.fits("moment", AT)
    assert not names.fits("moment", 5)


def saved(folder: Path, **changes: Any) -> Path:
    """Make a backup that is whole, and change what it says of itself."""
    folder.mkdir(parents=True)
    (folder / "redis.rdb").write_bytes(b"data")
    facts = {"at": AT, "release": "", "files": {"redis.rdb": sha256(b"data").hexdigest()}}
    (folder / "backup.json").write_text(json.dumps(facts | changes))
    return folder


FILES: tuple[Any, ...] = (
    {"../../outside": sha256(b"text").hexdigest()},
    {"redis.rdb": None},
    [],
    None,
)
WRONG: tuple[dict[str, Any], ...] = (
    *({"at": name} for name in (*CRAFTED, f"{AT}\n", None, 5, ["x"])),
    *({"files": files} for files in FILES),
)


@pytest.mark.parametrize("changes", WRONG, ids=ascii)
def test_a_backup_that_says_something_else_is_refused_before_anything_is_sent(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    """Its moment and its files become paths on the server, and here."""
    (tmp_path / "outside").write_bytes(b"text")
    folder = saved(tmp_path / "a/b", **changes)
    with pytest.raises(DataError, match="does not say what a backup says"):
        backups.checked(folder)
    layout = Layout(tmp_path / "herald")
    saved(layout.backups / NAME, **changes)
    with pytest.raises(AgentError, match=r"is no backup's"):
        restore.checked(layout, NAME)


@pytest.mark.parametrize("name", CRAFTED, ids=ascii)
def test_the_server_restores_from_nowhere_but_its_backups(tmp_path: Path, name: str) -> None:
    """What an earlier provision has written is a backup.json too, one folder up."""
    layout = Layout(tmp_path / "herald")
    saved(layout.backups / NAME)
    saved(tmp_path / "herald/x")
    (tmp_path / "herald/backup.json").write_text('{"keep": 3}')
    with pytest.raises(AgentError, match=f"no backup is called .*; there are: {NAME}$"):
        restore.checked(layout, name)
    assert restore.checked(layout, NAME) == layout.backups / NAME


def test_a_file_that_is_a_link_is_no_backup(tmp_path: Path) -> None:
    """What it points to may be another file on the server than here."""
    folder = saved(tmp_path / "backup")
    (folder / "redis.rdb").rename(tmp_path / "data")
    (folder / "redis.rdb").symlink_to(tmp_path / "data")
    with pytest.raises(DataError, match=r"redis\.rdb is damaged"):
        backups.checked(folder)


def test_folders_with_other_names_are_no_backups(tmp_path: Path) -> None:
    """They are neither listed nor cleared away."""
    layout = Layout(tmp_path)
    for name in (NAME, "2026-by-hand", f"{NAME}.old"):
        saved(layout.backups / name)
    assert [path.name for path in kept(layout)] == [NAME]


@contextmanager
def untouched(folder: Path) -> Iterator[None]:
    """Hold that a folder and everything in it stays as it is inside the block."""
    (folder / "host" / NAME).mkdir(parents=True)
    (folder / "host" / NAME / "redis.rdb").write_text("precious")
    before = sorted(folder.rglob("*"))
    yield
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("name", CRAFTED, ids=ascii)
def test_a_server_cannot_name_the_folder_that_a_copy_goes_to(tmp_path: Path, name: str) -> None:
    """`..` would have put the copy in the place of all others, `../../x` beside them."""
    with (
        untouched(tmp_path / "copies"),
        Link(Host("host", "lab", "127.0.0.1", port=1)) as link,
        pytest.raises(DataError, match=r"is no backup's name"),
    ):
        backups.fetch(link, name, tmp_path / "copies", print)


def test_an_archive_from_a_server_holds_a_backups_files_and_nothing_else(tmp_path: Path) -> None:
    """Whatever it calls them, they are plain files below the folder."""
    archive = BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in ("./redis.rdb", "../../outside", "/tmp/absolute", "./.bashrc"):  # noqa: S108
            member = tarfile.TarInfo(name)
            member.size = 4
            tar.addfile(member, BytesIO(b"text"))
        link = tarfile.TarInfo("./postgres.dump")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    archive.seek(0)
    (tmp_path / "copy").mkdir()
    backups.unpack(archive, tmp_path / "copy")
    assert [path.name for path in tmp_path.rglob("*")] == ["copy", "redis.rdb"]
