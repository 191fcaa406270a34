"""What services.yml renders for Caddy, read and run by a Caddy of the release of its stand-in."""

import http.client
import os
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.engine.caddy import ensure_caddy
from infra.stack import load_plan
from infra.stack.examples import EXAMPLES
from infra.stack.ingress import CADDYFILE, ingress_files
from telegram_sim.client import SimClient
from tests.conditions import eventually
from tests.processes import simulator, url_of
from tests.servers import RedisServer, free_port
from tests.shared.telegram.a_bot import PUBLISHED
from tests.shared.telegram.brought import SECRET, bot, published

EXAMPLE = EXAMPLES / "bot_with_webhook"
HOST, ROUTE = "bot.example.org", "/telegram/bot"
FROM = ("--adapter", "caddyfile", "--config")


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """A folder with a certificate for the host name that is its own authority."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    command = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    files = ("-keyout", folder / "WEBHOOK_KEY", "-out", folder / "WEBHOOK_CERTIFICATE")
    name = ("-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}")
    subprocess.run((*command, *files, *name), check=True, capture_output=True)
    return folder


def rendered(folder: Path, certificate: str, upstream: int = 8000) -> Path:
    """Return what a stack of one bot renders, with Caddy's volume in a folder of this test."""
    text = (EXAMPLE / "services.yml").read_text()
    text = text.replace("    updates: webhook\n", f"    updates: webhook\n    port: {upstream}\n")
    (folder / "shared").symlink_to(EXAMPLE / "shared")
    (folder / "services.yml").write_text(f"{text}    certificate: {certificate}\n")
    file = ingress_files(load_plan(folder / "services.yml"))[CADDYFILE]
    path = folder / "Caddyfile"
    path.write_text(file.replace("/var/lib/caddy", str(folder / "volume")))
    return path


def environment(secrets: Path) -> dict[str, str]:
    """Return the variables that Caddy has on a server."""
    names = ("WEBHOOK_CERTIFICATE", "WEBHOOK_KEY")
    files = {f"{name}_FILE": str(secrets / name) for name in names}
    home = dict.fromkeys(("XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(secrets.parent))
    return {**os.environ, **home, **files, "WEBHOOK_DOMAIN": HOST}


@pytest.mark.parametrize("certificate", ["acme", "given"])
def test_what_is_rendered_is_valid(tmp_path: Path, secrets: Path, certificate: str) -> None:
    """`caddy validate` takes it, and `caddy fmt` would change nothing."""
    file = rendered(tmp_path, certificate)
    command = (ensure_caddy(), "validate", *FROM, file)
    said = subprocess.run(
        command, env=environment(secrets), capture_output=True, text=True, check=False
    )
    assert (said.returncode, said.stdout.strip()) == (0, "Valid configuration"), said.stderr
    formatted = subprocess.check_output((ensure_caddy(), "fmt", file), text=True)
    assert formatted == file.read_text()


@contextmanager
def running(file: Path, secrets: Path) -> Iterator[Path]:
    """Run Caddy with a file; gives the file of its log."""
    log = file.with_name("log")
    command = (ensure_caddy(), "run", *FROM, file)
    with log.open("w") as output:
        caddy = subprocess.Popen(command, env=environment(secrets), stdout=output, stderr=output)
        try:
            yield log
        finally:
            caddy.kill()
            caddy.wait()


class Connection(http.client.HTTPSConnection):
    """A connection to an address that asks for the host name."""

    def connect(self) -> None:
        """Connect, and hold the certificate to the host name."""
        http.client.HTTPConnection.connect(self)
        self.sock = self._context.wrap_socket(self.sock, server_hostname=HOST)  # type: ignore[attr-defined]


def asked(port: int, secrets: Path, path: str, body: bytes = b"{}") -> int:
    """Return the status of a request that has Telegram's secret."""
    trust = ssl.create_default_context(cafile=str(secrets / "WEBHOOK_CERTIFICATE"))
    connection = Connection("127.0.0.1", port, context=trust, timeout=30)
    try:
        connection.request("POST", path, body, {"Host": HOST, **SECRET})
        return connection.getresponse().status
    finally:
        connection.close()


async def test_telegram_reaches_a_bot_through_it(
    secrets: Path, redis_server: RedisServer, tmp_path: Path
) -> None:
    """Over TLS under the host name, also when the bot has been away; nothing else is let in.

    While it is away Caddy says so, and its log does not hold the secret.
    """
    upstream, port = free_port(), free_port()
    file = rendered(tmp_path, "given", upstream)
    text = file.read_text().replace(f"bot:{upstream}", f"127.0.0.1:{upstream}")
    for fixed, free in (("8443", port), ("8080", free_port()), ("2020", free_port())):
        text = text.replace(fixed, str(free))
    file.write_text(text)
    with running(file, secrets) as log, simulator(limits=False) as sim:
        sim.kill()
        sim.variables["SSL_CERT_FILE"] = str(secrets / "WEBHOOK_CERTIFICATE")
        sim.start()
        async with SimClient(url_of(sim)) as telegram:
            await telegram.ready()
            service = bot(redis_server.url, url_of(sim), tmp_path / "held", port=upstream)
            service.variables |= {
                "WEBHOOK_URL": f"https://{HOST}:{port}{ROUTE}",
                "WEBHOOK_IP_ADDRESS": "127.0.0.1",
            }
            with service:
                await eventually(lambda: '"webhook set"' in service.log)
                written = await telegram.write("/command over TLS", user=7)
                answer = await telegram.wait_for_answer(7, after=written.message_id, timeout=30)
                assert answer.text == PUBLISHED
                service.kill()
                assert asked(port, secrets, ROUTE) == 502
                await telegram.write("/command while it starts", user=7)
                service.start()
                await eventually(lambda: len(published(redis_server)) > 1, seconds=60)
                assert [each for _, _, each in published(redis_server)] == [
                    "/command over TLS",
                    "/command while it starts",
                ]
                assert asked(port, secrets, "/telegram/other") == 404
                assert asked(port, secrets, "/") == 404
                assert asked(port, secrets, ROUTE, b"x" * 1_100_000) == 413
        assert '"status":502' in log.read_text()
        assert next(iter(SECRET.values())) not in log.read_text()
