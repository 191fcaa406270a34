"""Claims about python:3.13-slim that hold for the official image and for its stand-in.

Read in https://github.com/docker-library/python/blob/master/3.13/slim-trixie/Dockerfile
"""

import zipfile
from pathlib import Path

import pytest

from tests.docker.containers import HARDENED, Engine

IMAGE = "python:3.13-slim"
SITE = "/usr/local/lib/python3.13/site-packages"


def evaluate(docker: Engine, expression: str, *options: str) -> str:
    """Return what an expression is in the image's Python."""
    return docker.once(IMAGE, *options, run=("python", "-c", f"import sys; print({expression})"))


def wheel(folder: Path) -> Path:
    """Return a wheel with one module, as small as wheels get."""
    path = folder / "herald_check-1.0-py3-none-any.whl"
    info = "herald_check-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("herald_check.py", "WORD = 'installed'\n")
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: herald-check\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    path.chmod(0o644)
    return path


def test_settings_of_the_image(docker: Engine) -> None:
    """It is root's, without an entrypoint or a working directory, and starts Python."""
    settings = docker.image(IMAGE)
    assert settings["Cmd"] == ["python3"]
    assert settings["Entrypoint"] is None
    assert settings["User"] == ""
    assert settings["WorkingDir"] in {"", "/"}
    assert not settings.get("ExposedPorts")


@pytest.mark.parametrize("name", ["python", "python3", "pip", "pip3"])
def test_programs_are_in_usr_local(docker: Engine, name: str) -> None:
    """The image's Python comes before a distribution's."""
    program = docker.once(IMAGE, run=("sh", "-c", f"command -v {name}"))
    assert program == f"/usr/local/bin/{name}"


def test_it_is_python_3_13(docker: Engine) -> None:
    """The version is 3.13 and its home /usr/local."""
    assert evaluate(docker, "'%d.%d' % sys.version_info[:2]") == "3.13"
    assert evaluate(docker, "sys.prefix") == "/usr/local"
    assert evaluate(docker, "__import__('sysconfig').get_path('purelib')") == SITE


def test_it_is_debian_13(docker: Engine) -> None:
    """What a compiled wheel needs of the C library is Debian 13's."""
    assert "VERSION_CODENAME=trixie" in docker.once(IMAGE, run=("cat", "/etc/os-release"))


def test_pip_installs_without_being_asked_twice(docker: Engine, tmp_path: Path) -> None:
    """No file says that somebody else manages the environment; modules go to site-packages."""
    path = wheel(tmp_path)
    script = (
        f"pip install --quiet --no-index --root-user-action ignore /wheel/{path.name}"
        " && python -c 'import herald_check; print(herald_check.__file__)'"
    )
    module = docker.once(IMAGE, "--volume", f"{tmp_path}:/wheel:ro", run=("sh", "-c", script))
    assert module == f"{SITE}/herald_check.py"


def test_environments_have_pip(docker: Engine) -> None:
    """`python -m venv` makes one that installs for itself."""
    script = "python -m venv /opt/v && /opt/v/bin/pip --version"
    assert "/opt/v/lib/python3.13" in docker.once(IMAGE, run=("sh", "-c", script))


def test_pip_installs_into_another_environment(docker: Engine, tmp_path: Path) -> None:
    """The image's pip serves an environment that has none, as our Dockerfiles use it."""
    path = wheel(tmp_path)
    script = (
        "python -m venv --without-pip /opt/v"
        f" && pip --python /opt/v/bin/python install --quiet --no-index /wheel/{path.name}"
        " && /opt/v/bin/python -c 'import herald_check; print(herald_check.__file__)'"
    )
    module = docker.once(IMAGE, "--volume", f"{tmp_path}:/wheel:ro", run=("sh", "-c", script))
    assert module == "/opt/v/lib/python3.13/site-packages/herald_check.py"


def test_certificates_and_time_zones_are_there(docker: Engine) -> None:
    """HTTPS is verified, and zones have names."""
    count = "__import__('ssl').create_default_context().cert_store_stats()['x509_ca']"
    assert int(evaluate(docker, count)) > 0
    zone = "__import__('zoneinfo').ZoneInfo('Europe/Berlin').key"
    assert evaluate(docker, zone) == "Europe/Berlin"


def test_there_is_no_compiler(docker: Engine) -> None:
    """A requirement without a wheel can't be installed: it has to be noticed here."""
    assert docker.command("run", "--rm", IMAGE, "sh", "-c", "command -v gcc").returncode != 0


def test_text_is_utf_8(docker: Engine) -> None:
    """No variable is needed for text that is not ASCII."""
    assert evaluate(docker, "sys.stdout.encoding.lower() + ' ' + chr(0x1F680)") == "utf-8 🚀"


def test_it_runs_hardened(docker: Engine) -> None:
    """Read-only, without capabilities, as a user without a name."""
    assert evaluate(docker, "'fine'", *HARDENED, "--user", "10001:10001") == "fine"
