"""Forks of every kind, each made by what Herald itself has for it."""

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.forks.fork import ROOT, Fork

NAME = "mybot"
WORKER = """
  - name: ledger
    type: python-faststream
    description: Keeps a line of every command.
    depends_on: {redis: service_healthy, postgres: service_healthy}
    env:
      REDIS_URL: {from: redis, description: Redis that holds the event streams.}
      DATABASE_URL: {from: postgres, scheme: postgresql+asyncpg, description: Where it keeps them.}
    subscribes: [command_received]
"""
IMAGE = """
  - name: site
    type: image
    description: A site of static pages.
    image: nginx:1.27
    port: 8080
    health: {command: [curl, --fail, --silent, "http://127.0.0.1:8080/"]}
    user: "101:101"
    writable: [/var/cache/nginx, /var/run]
"""

SHOP = """
  - name: shop_bot
    type: python
    description: A second bot, which sells.
    depends_on: {redis: service_healthy}
    profiles: [tg, sim]
    egress: true
    health: {http: /health, port: 8080}
    env:
      TELEGRAM_BOT_TOKEN:
        secret: true
        given_as: SHOP_BOT_TOKEN
        description: Token of the shop's bot, from @BotFather.
      TELEGRAM_API_URL:
        default: https://api.telegram.org
        description: Bot API server; /bot<token>/<method> is appended.
      REDIS_URL: {from: redis, description: Redis that holds the event streams.}
      HEALTH_HOST: {from: self.bind, description: Address of its own /health.}
      HEALTH_PORT: {from: self.health_port, description: Port of its own /health.}
      REPLIES_PER_SECOND: {default: 30, description: Replies sent a second at most.}
      MESSAGES_PER_MINUTE: {default: 120, description: Messages taken from a sender in a minute.}
      BYTES_PER_DAY: {default: 2000000, description: Bytes of updates taken from a sender in a day.}
      HANDLER_TIMEOUT: {default: 60, description: Seconds that handlers may take for an update.}
      LOG_LEVEL: {default: INFO, description: Least severe log lines to write.}
      LOG_FORMAT: {default: json, description: Form of a log line.}
    publishes: [telegram_update]
    subscribes: [telegram_update]
"""
SHOP_SOURCES = {
    "__init__.py": '"""The bot of the shop."""\n',
    "__main__.py": '''"""`python -m shop_bot`."""

import sys

from shop_bot.main import main

sys.exit(main())
''',
    "settings.py": '''"""The bot's variables."""

from shared.telegram import BotSettings


class Settings(BotSettings):
    """What any bot reads."""
''',
    "main.py": '''"""Say what is for sale."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from telegram import BotCommand, Update

from shared.telegram import Bot, Context, ShownCommand, run_bot
from shop_bot.settings import Settings


async def handle_menu(update: Update, context: Context[Any]) -> None:
    """`/menu`: list it."""
    if update.message is not None:
        context.outbox.send(update.message.chat_id, "Margherita and Funghi.")


@asynccontextmanager
async def assemble(bot: Bot[Any], settings: Settings) -> AsyncIterator[None]:
    """Give the bot its handler."""
    bot.add_handler(ShownCommand("menu", handle_menu))
    yield


def main() -> int:
    """Run the bot as a process; return its exit code."""
    commands = [BotCommand("menu", "Say what there is")]
    return run_bot("shop_bot", Settings, assemble, commands=commands)
''',
}
TOKEN = '      TELEGRAM_BOT_TOKEN: "42:a-simulated-token-opens-nothing-anywhere"\n'
SECOND_TOKEN = '      SHOP_BOT_TOKEN: "43:another-simulated-token-opens-nothing"\n'


def renamed(fork: Fork) -> None:
    """A project of one's own, with all that Herald has."""
    fork.run("infra.new", "--name", NAME)


def without_backend(fork: Fork) -> None:
    """A bot that registers nobody, and no database."""
    fork.run("infra.new", "--name", NAME, "--without", "backend")


def without_simulator(fork: Fork) -> None:
    """No Telegram in the stack but Telegram."""
    fork.run("infra.new", "--name", NAME, "--without", "telegram_sim")


def with_a_worker(fork: Fork) -> None:
    """A worker with a table, written by `make sync-services mode=create`."""
    renamed(fork)
    _declare(fork, WORKER)
    # What it requires is what the backend does; pinning anew would ask a package index.
    target = fork.root / "services/ledger/requirements.txt"
    target.parent.mkdir()
    shutil.copy(fork.root / "services/backend/requirements.txt", target)
    fork.run("infra.stack", "sync", "--mode", "create")


def with_an_image(fork: Fork) -> None:
    """A ready-made image beside the services."""
    renamed(fork)
    _declare(fork, IMAGE)
    fork.run("infra.stack", "sync")


def with_two_bots(fork: Fork) -> None:
    """A second bot, with a token of its own everywhere."""
    renamed(fork)
    _declare(fork, SHOP)
    declared = fork.root / "services.yml"
    text = declared.read_text(encoding="utf-8").replace(TOKEN, TOKEN + SECOND_TOKEN)
    declared.write_text(text, encoding="utf-8")
    folder = fork.root / "services/shop_bot"
    (folder / "src/shop_bot").mkdir(parents=True)
    for name, source in SHOP_SOURCES.items():
        (folder / "src/shop_bot" / name).write_text(source, encoding="utf-8")
    bot = fork.root / "services/tg_bot"
    shutil.copy(bot / "requirements.txt", folder / "requirements.txt")
    (folder / "AGENTS.md").write_text("# The shop's bot\n\nIt sells.\n", encoding="utf-8")
    project = (bot / "pyproject.toml").read_text(encoding="utf-8").replace("tg_bot", "shop_bot")
    (folder / "pyproject.toml").write_text(project, encoding="utf-8")
    fork.run("infra.stack", "sync", "--mode", "create")


KINDS: dict[str, Callable[[Fork], None]] = {
    make.__name__: make
    for make in (
        *(renamed, without_backend, without_simulator),
        *(with_a_worker, with_an_image, with_two_bots),
    )
}


def make_fork(kind: str, root: Path, herald: Path = ROOT, commit: str = "") -> Fork:
    """Return a fork of a kind, committed: a clone of this checkout, or of another or older one."""
    fork = Fork(root, herald, commit)
    KINDS[kind](fork)
    fork.commit("Make it ours")
    return fork


def _declare(fork: Fork, service: str) -> None:
    """Declare a service where the guide does, so that what Herald appends is no conflict."""
    path = fork.root / "services.yml"
    before, simulator, rest = path.read_text(encoding="utf-8").partition("  - name: telegram_sim\n")
    text = f"{before}  {service.strip()}\n\n{simulator}{rest}"
    path.write_text(text, encoding="utf-8")
