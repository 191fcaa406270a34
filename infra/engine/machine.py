"""What the machine says of package mirrors and certificates, for the images that are made here.

An image made on a machine whose packages come through a mirror must trust the mirror's certificate
and know its address, or nothing can be installed in it. Both are read from the machine's own
settings when the image is made; no address is written anywhere in this repository.
"""

import configparser
import os
from collections.abc import Iterator
from pathlib import Path

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
BUNDLE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
# The settings that say where packages are; https://pip.pypa.io/en/stable/topics/configuration/
PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy")


def certificates() -> bytes:
    """Return every certificate that this machine trusts, as one PEM bundle."""
    named = (os.environ.get(variable, "") for variable in BUNDLE_VARIABLES)
    paths = [Path(name) for name in (BUNDLE, *named) if name]
    unique = dict.fromkeys(path.read_bytes() for path in paths if path.is_file())
    return b"\n".join(unique)


def pip_configuration() -> str:
    """Return the text of a pip.conf with this machine's mirrors, empty where it has none.

    Folders of this machine are left out: a container does not see them. A password in a mirror's
    address stays in it, so that it also is in the stand-ins, which never leave the machine.
    """
    settings = {name: value for name, value in pip_settings() if name in PIP_SETTINGS}
    if "extra-index-url" in settings:
        remote = [url for url in settings["extra-index-url"].split() if url.startswith("http")]
        settings["extra-index-url"] = " ".join(remote)
    lines = [f"{name} = {value}" for name, value in sorted(settings.items()) if value]
    return "\n".join(["[global]", *lines, ""]) if lines else ""


def pip_settings() -> Iterator[tuple[str, str]]:
    """Yield pip's settings, variables after files: where one comes twice, the later one wins."""
    for path in pip_files():
        parser = configparser.RawConfigParser(strict=False)
        parser.read(path)
        for section in ("global", "install"):
            if parser.has_section(section):
                yield from (
                    (name.replace("_", "-"), value) for name, value in parser[section].items()
                )
    for name, value in os.environ.items():
        if name.startswith("PIP_"):
            yield name.removeprefix("PIP_").lower().replace("_", "-"), value


def pip_files() -> Iterator[Path]:
    """Yield the configuration files in the order in which pip reads them."""
    system = os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")
    yield from (Path(folder) / "pip/pip.conf" for folder in reversed(system))
    yield Path("/etc/pip.conf")
    yield Path.home() / ".pip/pip.conf"
    yield Path(os.environ.get("XDG_CONFIG_HOME", Path.home() / ".config")) / "pip/pip.conf"
    if "PIP_CONFIG_FILE" in os.environ:
        yield Path(os.environ["PIP_CONFIG_FILE"])
