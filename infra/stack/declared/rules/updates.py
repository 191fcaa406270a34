"""How bots get their updates: a webhook wants a host name on a server."""

from infra.stack.declared.declaration import Service
from infra.stack.declared.rules.context import Context
from infra.stack.plan import BOT_TOKEN, READY_MADE


def updates(context: Context) -> None:
    """Who declares `updates` is a bot; to whom they are brought there is a Caddy, which is one."""
    services = context.stack.services
    caddies = [service for service in services if service.type == "caddy"]
    bots = [each for each in services if each.type not in READY_MADE and BOT_TOKEN in each.env]
    brought = [bot for bot in bots if bot.updates == "webhook"]
    for service in services:
        if service.updates and service not in bots:
            message = f"'{service.name}' is no bot: it has no variable {BOT_TOKEN}"
            context.error(message, *service.at, "updates")
        for name in ("host", "certificate"):
            if getattr(service, name) and service.type != "caddy":
                context.error(f"'{name}' goes with type caddy", *service.at, name, key=True)
    for service in brought:
        _bot(context, service, caddies)
    for service in caddies:
        _caddy(context, service, caddies[0])
        if not brought:
            context.warn("it fronts nobody: no bot has updates: webhook", *service.at, "type")


def _bot(context: Context, bot: Service, caddies: list[Service]) -> None:
    at = (*bot.at, "updates")
    if not caddies and "WEBHOOK_URL" not in bot.env:
        message = (
            "Telegram brings updates to a host name: add a service of type caddy with its 'host'"
        )
        context.error(message, *at)
    if "prod" not in bot.overlays:
        message = f"updates are brought on a server, and '{bot.name}' does not run in prod"
        context.error(message, *at)
    if bot.replicas > 1:
        message = "one of them is brought updates, the others would refuse them; leave it out"
        context.error(message, *bot.at, "replicas")


def _caddy(context: Context, caddy: Service, first: Service) -> None:
    if caddy is not first:
        line = context.reading.value(*first.at, "type").line
        message = f"'{first.name}' on line {line} has a server's port 443 already"
        context.error(message, *caddy.at, "type")
    if not caddy.host:
        message = "type caddy needs 'host': the name under which Telegram brings updates"
        context.error(message, *caddy.at, "type")
    if caddy.overlays != ("prod",):
        message = "Telegram reaches a server only; write overlays: [prod]"
        context.error(message, *caddy.at, "overlays")
    copied = next((n for n, part in context.stack.infrastructure.items() if part.copies > 1), "")
    if copied and caddy.certificate != "given":
        message = (
            f"'{copied}' has copies, and who issues a certificate asks one of the servers only; "
            "write certificate: given"
        )
        context.error(message, *caddy.at, "type")
    if caddy.replicas > 1:
        context.error("a server has one port 443; leave it out", *caddy.at, "replicas")
