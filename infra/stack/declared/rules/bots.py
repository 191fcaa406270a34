"""Bots: each has a token of its own, at Telegram and where something stands in for it."""

from infra.stack.declared.declaration import Service
from infra.stack.declared.rules.context import Context
from infra.stack.plan import BOT_TOKEN

WHY = "Telegram hands an update to one of them only"


def tokens(context: Context) -> None:
    """No two bots that run together have one token, declared or provided."""
    bots = {service.name: service for service in context.stack.services if BOT_TOKEN in service.env}
    for name, service in bots.items():
        token, at = _token(service), service.env[BOT_TOKEN].at
        for other in bots.values():
            if other is service:
                break
            if _token(other) == token and set(other.overlays) & set(service.overlays):
                own = f"{name.upper()}_TOKEN"
                message = f"'{name}' has the token of '{other.name}', and {WHY}"
                context.error(f"{message}; write 'given_as: {own}'", *at, key=True)
                break
    _provided(context, {_token(service): name for name, service in reversed(bots.items())})


def _provided(context: Context, bots: dict[str, str]) -> None:
    """A stand-in that provides a token provides one for each bot, which are given by token."""
    for service in context.stack.services:
        given = {name: service.provides[name] for name in bots if name in service.provides}
        values: dict[str, str] = {}
        for name, provided in given.items():
            other = values.setdefault(provided.value or "", name)
            if other != name:
                message = f"'{name}' is the token of '{other}', and {WHY}"
                context.error(message, *provided.at)
        missing = [name for name in bots if name not in given]
        if given and missing:
            message = f"'{bots[missing[0]]}' gets no token: provide '{missing[0]}' as well"
            context.error(message, *service.at, "provides", key=True)


def _token(service: Service) -> str:
    """Return where a bot has its token from: what .env and the secrets call it, or itself."""
    variable = service.env[BOT_TOKEN]
    return variable.value or variable.given_as or BOT_TOKEN
