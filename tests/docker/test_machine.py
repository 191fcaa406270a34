"""Claims about what an image made here takes over from this machine."""

from pathlib import Path

import pytest

from infra.engine import machine, stand_ins


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a machine whose own settings of pip do not reach the test."""
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "pip").mkdir()
    file = tmp_path / "pip/pip.conf"
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    return file


def test_a_variable_wins_over_a_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mirrors are those that pip would use on this machine."""
    home.write_text("[global]\nindex_url = https://file.example/simple\ntrusted-host = a.example\n")
    assert "index-url = https://file.example/simple\n" in machine.pip_configuration()
    monkeypatch.setenv("PIP_INDEX_URL", "https://variable.example/simple")
    text = machine.pip_configuration()
    assert "index-url = https://variable.example/simple\n" in text
    assert "trusted-host = a.example\n" in text


def test_folders_of_the_machine_stay_there(home: Path) -> None:
    """A container does not see this machine's folders, so no setting of an image names one."""
    home.write_text(
        "[global]\nextra-index-url =\n  file:///srv/index\n  https://b.example/simple\n"
        "find-links = /srv/wheels\ncert = /etc/own.pem\nconstraint = /etc/constraints.txt\n"
    )
    lines = machine.pip_configuration().splitlines()
    assert "extra-index-url = https://b.example/simple" in lines
    assert not [line for line in lines if "/srv" in line or "/etc" in line]


def test_certificates_are_those_the_machine_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle that a variable names is added to the system's, and none is in it twice."""
    own = tmp_path / "own.pem"
    own.write_text("-----BEGIN CERTIFICATE-----\nown\n-----END CERTIFICATE-----\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(own))
    monkeypatch.setenv("PIP_CERT", str(own))
    monkeypatch.setenv("CURL_CA_BUNDLE", str(tmp_path / "missing.pem"))
    assert machine.certificates().count(b"\nown\n") == 1


def test_another_mirror_makes_another_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in is made anew when what it took over from the machine has changed."""
    recipe = stand_ins.RECIPES["python:3.13-slim"]
    before = stand_ins.digest(recipe.suite, recipe)
    assert stand_ins.digest(recipe.suite, recipe) == before
    monkeypatch.setenv("PIP_INDEX_URL", "https://new.example/simple")
    assert stand_ins.digest(recipe.suite, recipe) != before


def test_every_recipe_has_its_own_digest() -> None:
    """A change in one recipe leaves the images of the others alone."""
    recipes = [*stand_ins.RECIPES.values(), stand_ins.SERVERS["herald-test-server:trixie"]]
    digests = {stand_ins.digest(recipe.suite, recipe) for recipe in recipes}
    bases = {stand_ins.digest(suite) for suite in ("bookworm", "trixie")}
    assert len(digests | bases) == len(recipes) + 2
