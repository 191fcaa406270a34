"""The words of services.yml, each with its meaning, and what the forms of its texts are."""

import re

from infra.stack import plan
from infra.stack.declared.shapes import Integer, Text

HTTP_PORT = 8000
OVERLAYS: dict[str, str] = dict(
    zip(
        plan.OVERLAYS,
        (
            "a developer's machine (make dev-start)",
            "the end-to-end tests: the simulator for Telegram, random host ports",
            "a server (make deploy)",
        ),
        strict=True,
    )
)
CONDITIONS: dict[str, str] = dict(
    zip(
        plan.CONDITIONS,
        (
            "its container runs",
            "its health check passes",
            "it ran to its end with exit code 0",
        ),
        strict=True,
    )
)
SERVICE_TYPES = {
    "python": "a plain worker, started with python -m NAME",
    "python-fastapi": f"an HTTP service; port {HTTP_PORT} and a health check on /health by default",
    "python-faststream": "a subscriber of events",
    "image": "a ready-made image",
    "prometheus": "Prometheus, with the scrape jobs and alert rules of this stack",
    "alertmanager": "Alertmanager, which tells a webhook what Prometheus finds wrong",
    "caddy": "Caddy: TLS under a host name, where Telegram brings the bot's updates",
}
UPDATES = {
    "polling": "the bot asks Telegram for them; nothing is open to the world",
    "webhook": "on a server Telegram brings them to the caddy of this stack; elsewhere it polls",
}
CERTIFICATES = {
    "acme": "Caddy gets one from Let's Encrypt and renews it",
    "given": "the secrets WEBHOOK_CERTIFICATE and WEBHOOK_KEY, as PEM",
}
INFRASTRUCTURE_TYPES = {
    "redis": "Redis, the home of the event streams",
    "postgres": "PostgreSQL, the home of what was stored",
}
PERSISTENCE = {
    "always": "an acknowledged write is on disk (appendfsync always)",
    "everysec": "the last second may be lost (appendfsync everysec)",
}
OPT_OUTS = {
    "read_only": "the container may write to its own file system",
    "cap_drop": "the container keeps Docker's default capabilities",
    "no_new_privileges": "programs in the container may gain privileges (setuid)",
    "non_root": "the container runs as the user its image names, root as well",
    "init": "the command is PID 1 itself and has to reap and forward signals",
}

COMPOSE_WORDS = {
    "build": "services/Dockerfile is what is built",
    "cap_add": "write 'capabilities', each with its reason",
    "copies": "an infrastructure has copies, a service 'replicas'",
    "container_name": "it would keep a second container from running; leave it out",
    "deploy": "write 'replicas' and 'resources'",
    "env_file": "declare each variable under 'env'",
    "environment": "write 'env'",
    "expose": "write 'port'",
    "healthcheck": "write 'health'",
    "networks": "they follow from 'depends_on' and 'env'",
    "ports": "write 'publish'",
    "privileged": "write 'capabilities' or 'opt_out', with the reason",
    "read_only": "it is on; write 'opt_out' with the reason to turn it off",
    "restart": "every service is restarted when it stops by itself",
    "secrets": "write 'secret: true' at the variable",
    "tmpfs": "write 'writable'",
    "volumes": "write 'data' for a folder that outlives the container",
}


def snake(word: str) -> str:
    """Return a name in snake_case."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word)
    return re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")


def upper_snake(word: str) -> str:
    """Return a name in UPPER_SNAKE case."""
    return snake(word).upper()


NAME = Text(
    "a name of lower-case letters, digits and underscores that starts with a letter",
    "[a-z][a-z0-9_]{0,39}",
    mend=snake,
)
VARIABLE = Text("a variable name in UPPER_SNAKE case", "[A-Z][A-Z0-9_]*", mend=upper_snake)
SENTENCE = Text("a sentence")
REASON = Text("the reason, in a sentence")
VALUE = Text("text", numbers=True, empty=True)
PORT = Integer(1, 65535)
URL_PATH = Text("a path that starts with /", "/[^ ]*")
FOLDER = Text("an absolute folder in the container", "/[A-Za-z0-9._/-]+")
DURATION = Text("a duration such as 500ms, 10s or 1m30s", r"([0-9]+(\.[0-9]+)?(h|m|s|ms))+")
SIZE = Text("a size such as 256M or 1G", "[1-9][0-9]*[KMG]")
CPUS = Text("a number of processors such as 0.5 or 2", r"[0-9]+(\.[0-9]+)?", numbers=True)
IMAGE = Text(
    "an image with its tag, such as nginx:1.27@sha256:…",
    r"[a-z0-9][a-z0-9._/:-]*(@sha256:[0-9a-f]{64})?",
)
SCHEME = Text("a URL scheme such as redis or postgresql+asyncpg", "[a-z][a-z0-9+.-]*")
REFERENCE = Text(
    "a service or a part of it, such as backend or backend.port",
    r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?",
)
USER = Text("a numeric user and group such as 101:101", "[0-9]+(:[0-9]+)?", numbers=True)
CAPABILITY = Text("a Linux capability such as NET_BIND_SERVICE", "[A-Z][A-Z_]*")
ADDRESS = Text("an address such as 127.0.0.1", "[0-9a-fA-F:.]+")
ARGUMENT = Text("text", numbers=True)
HOST = Text(
    "a host name such as bot.example.org",
    r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]",
    mend=str.lower,
)
