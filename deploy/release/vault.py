"""The secrets of an environment, encrypted with age, decrypted only in this process.

    deploy/secrets/<environment>.age   the encrypted file, which belongs into the repository
    deploy/secrets/recipients.txt      who can read it: age public keys, one a line
    ~/.config/herald/age.key           your own key; HERALD_AGE_KEY names another file

HERALD_SECRETS names another folder than deploy/secrets, outside the repository for example.
"""

import json
import os
import secrets
from pathlib import Path

import pyrage

from deploy.errors import ConfigError, UsageError
from deploy.inventory import expanded
from infra.stack import Plan
from infra.stack.compose.secrets import contents, secret_files

FOLDER = Path(__file__).resolve().parents[1] / "secrets"
KEY = "FINGERPRINT_KEY"
"""Beside the stack's own: makes the names of secret files on the host say nothing of them."""


def folder() -> Path:
    """Return the folder with the encrypted files."""
    return expanded(os.environ.get("HERALD_SECRETS") or str(FOLDER))


def key_file() -> Path:
    """Return the file with this person's age key."""
    named = os.environ.get("HERALD_AGE_KEY")
    return expanded(named or "~/.config/herald/age.key")


def encrypted(environment: str) -> Path:
    """Return the encrypted file of an environment."""
    return folder() / f"{environment}.age"


def load(environment: str) -> dict[str, str]:
    """Return an environment's secrets; empty where it has none yet.

    Raises:
        ConfigError: They cannot be decrypted with our key.
    """
    path = encrypted(environment)
    if not path.is_file():
        return {}
    try:
        plain = pyrage.decrypt(path.read_bytes(), [identity()])
    except pyrage.DecryptError:
        raise ConfigError(
            f"{path} is not encrypted for the key in {key_file()}; have somebody who can read it "
            f"add {identity().to_public()} to {folder() / 'recipients.txt'} and set a secret"
        ) from None
    values: dict[str, str] = json.loads(plain)
    return values


def save(environment: str, values: dict[str, str]) -> Path:
    """Encrypt an environment's secrets for every recipient; return the file."""
    path = encrypted(environment)
    path.parent.mkdir(parents=True, exist_ok=True)
    sealed = pyrage.encrypt(json.dumps(values, sort_keys=True).encode(), recipients())
    new = path.with_suffix(".new")
    new.write_bytes(sealed)
    new.replace(path)
    return path


def identity() -> "pyrage.x25519.Identity":
    """Return this person's age key.

    Raises:
        ConfigError: There is none, or it is none.
    """
    path = key_file()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        raise ConfigError(
            f"there is no age key in {path}; make one with: make secrets env=NAME"
        ) from None
    text = next((line for line in lines if line.startswith("AGE-SECRET-KEY-")), "")
    try:
        return pyrage.x25519.Identity.from_str(text)
    except pyrage.IdentityError:
        raise ConfigError(f"{path} has no line that starts with AGE-SECRET-KEY-") from None


def recipients() -> "list[pyrage.x25519.Recipient]":
    """Return everybody who can read the secrets; ourselves first."""
    path = folder() / "recipients.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    named = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    try:
        others = [pyrage.x25519.Recipient.from_str(line) for line in named]
    except pyrage.RecipientError as error:
        raise ConfigError(f"{path}: {error}") from None
    return [identity().to_public(), *others]


def ensure_key() -> bool:
    """Make an age key where there is none; return whether one was made."""
    path = key_file()
    if path.exists():
        return False
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    own = pyrage.x25519.Identity.generate()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"# public key: {own.to_public()}\n{own}\n")
    return True


def fill(plan: Plan, values: dict[str, str]) -> dict[str, str]:
    """Return the secrets with the generated ones that were missing."""
    made = contents(plan, values)
    stored = {secret.name for secret in secret_files(plan) if secret.origin != "derived"}
    filled = values | {name: text for name, text in made.items() if name in stored}
    return filled | {KEY: values.get(KEY) or secrets.token_urlsafe(24)}


def missing(plan: Plan, values: dict[str, str]) -> list[str]:
    """Return the secrets that are not there and cannot be derived."""
    wanted = [secret.name for secret in secret_files(plan) if secret.origin != "derived"]
    return [name for name in [*wanted, KEY] if not values.get(name, "").strip()]


def complete(plan: Plan, environment: str) -> tuple[dict[str, str], str]:
    """Return the text of every secret file, and the key for their digests.

    Raises:
        ConfigError: One is missing.
    """
    values = load(environment)
    if lacking := missing(plan, values):
        raise ConfigError(
            f"{environment} lacks {' and '.join(lacking)}; set it with: "
            f"make secrets env={environment} set={lacking[0]}"
        )
    return contents(plan, values), values[KEY]


def put(plan: Plan, values: dict[str, str], name: str, text: str) -> dict[str, str]:
    """Return the secrets with one set.

    Raises:
        UsageError: The stack has no such secret, or the text is empty.
    """
    names = [secret.name for secret in secret_files(plan) if secret.origin != "derived"]
    if name not in names:
        raise UsageError(f"no secret is called {name!r}; there are: {', '.join(names)}")
    if not text.strip():
        raise UsageError(f"the value of {name} is empty; it is read from standard input")
    return values | {name: text.strip()}
