"""Claims about reading apt's sources: the mirror's address comes from the machine, in any form."""

from pathlib import Path

from infra.engine import debian

STANZAS = """\
# The first mirror
Types: deb deb-src
URIs: https://mirror.example/debian
# a comment in the middle
Suites: bookworm
 bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: https://security.example/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: https://off.example/debian
Suites: bookworm
Components: main
"""
LINES = """\
# deb http://off.example/debian bookworm main
deb-src http://sources.example/debian bookworm main
deb [arch=amd64 signed-by=/etc/own key.gpg] http://mirror.example/debian bookworm main  # ours
deb http://security.example/debian-security bookworm-security main
"""


def test_stanzas_of_sources_files() -> None:
    """Every address meets every suite; comments, sources of code and switched-off ones do not."""
    assert list(debian.stanza_sources(STANZAS)) == [
        ("https://mirror.example/debian", "bookworm"),
        ("https://mirror.example/debian", "bookworm-updates"),
        ("https://security.example/debian-security", "bookworm-security"),
    ]


def test_lines_of_list_files() -> None:
    """Options in brackets and comments are no part of address and suite."""
    assert list(debian.one_line_sources(LINES.splitlines())) == [
        ("http://mirror.example/debian", "bookworm"),
        ("http://security.example/debian-security", "bookworm-security"),
    ]


def test_all_files_are_read(tmp_path: Path) -> None:
    """sources.list comes first, then the folder's files by name; others in it are not read."""
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text("deb http://a.example/debian stable main\n")
    (tmp_path / "sources.list.d/z.list").write_text("deb http://z.example/debian stable main\n")
    (tmp_path / "sources.list.d/b.sources").write_text(STANZAS)
    (tmp_path / "sources.list.d/y.list.disabled").write_text("deb http://y.example x main\n")
    addresses = [address for address, _ in debian.sources(tmp_path)]
    assert addresses[0] == "http://a.example/debian"
    assert addresses[1] == "https://mirror.example/debian"
    assert addresses[-1] == "http://z.example/debian"
    assert len(addresses) == 5


def test_a_machine_without_sources(tmp_path: Path) -> None:
    """No file is no source, and no error."""
    assert list(debian.sources(tmp_path)) == []


def test_a_mirror_of_the_release_is_chosen(tmp_path: Path) -> None:
    """Neither the security archive nor a folder on a disk is a mirror."""
    disks = "deb cdrom:[disc]/ bookworm main\ndeb file:/disk bookworm main\n"
    security = LINES.splitlines()[-1]
    text = f"{disks}{security}\n{LINES}"
    (tmp_path / "sources.list").write_text(text)
    assert debian.mirror(tmp_path, "bookworm") == "http://mirror.example/debian"
