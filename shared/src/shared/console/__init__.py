"""A console in the browser: what lands in the streams, how far groups are, dead letters decided on.

    application  what is mounted below /console
    entrance     who may use it: a login, origins, headers
    views        what it shows and does, on Redis
    journey      the way of one event, as far as it is recorded
    stack        the parts of services.yml: which works, in which version and role
    page/        the page: one HTML file, one style sheet, ES modules; nothing is built

Needs the extra `http`, and in services.yml `console:` with the overlays in which the service's
Redis user may do what it does.
"""

from shared.console.application import console
from shared.console.entrance import CHAT, ConsoleMode
from shared.console.journey import Handled
from shared.console.stack import ADDRESSES, Server

__all__ = ["ADDRESSES", "CHAT", "ConsoleMode", "Handled", "Server", "console"]
