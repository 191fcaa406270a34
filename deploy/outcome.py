"""How the work on each of pyinfra's hosts goes: what is said, what is yielded, how it ended.

pyinfra itself knows success and failure alone, ends every run with 0 or 1, prints a traceback for
an exception of a function's, and stops all hosts for one that a recipe or an operation raises.
"""

import os
import traceback
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from weakref import WeakKeyDictionary

from pyinfra import logger
from pyinfra.api.command import FunctionCommand
from pyinfra.api.host import Host as PyinfraHost
from pyinfra.api.state import State
from pyinfra.context import ctx_host, ctx_state

from deploy import inventory
from deploy.errors import DeployError, MembersError
from deploy.ssh.connection import user_of
from deploy.ssh.link import Link, Say

Act = Callable[[], int]
"""What changes something on a host; the value is the exit code."""
Commands = Generator[FunctionCommand, None, None]
Work = Callable[[Link, Say, bool], Iterator[Act]]
"""Look at a host, say what is seen, and yield what changes it; the last argument is `dry`."""
EXIT_CODES: WeakKeyDictionary[PyinfraHost, int] = WeakKeyDictionary()
"""What each host's work came to, where it was not 0."""
LINK = "herald link"


def here() -> PyinfraHost:
    """Return the host whose recipe or operation this is."""
    host: PyinfraHost = ctx_host.get()  # type: ignore[no-untyped-call] # pyinfra's
    return host


def link_of(host: PyinfraHost) -> Link:
    """Return the link over the connection of pyinfra's host, which is the same each time.

    Raises:
        ConfigError: The host's data says something that cannot be.
    """
    link: Link | None = host.connector_data.get(LINK)
    if link is None:
        known = inventory.of(host)
        known = replace(known, user=user_of(host) or known.user)
        link = host.connector_data[LINK] = Link(known, host)
    return link


def say_on(host: PyinfraHost) -> Say:
    """Return what tells people something about a host."""

    def say(text: str) -> None:
        logger.info("%s%s", host.print_prefix, text, extra={"herald": host, "text": text})

    return say


def failed(host: PyinfraHost, error: DeployError) -> int:
    """Say what went wrong on a host, or on others of its group; return the exit code for that."""
    if isinstance(error, MembersError):
        for name, each in error.errors:
            failed(host.inventory.get_host(name), each)
        EXIT_CODES[host] = error.code
        return error.code
    logger.error("%s%s", host.print_prefix, error, extra={"herald": host, "text": str(error)})
    EXIT_CODES[host] = error.code
    return error.code


def carried_out(work: Work) -> Commands:
    """Do work on the host of this operation; an error fails this host and no other."""
    host, state = here(), ctx_state.get()  # type: ignore[no-untyped-call] # pyinfra's
    try:
        link = link_of(host)
        for act in work(link, say_on(host), not state.is_executing):
            yield FunctionCommand(carry_out, (act,), {})
    except DeployError as error:
        yield from refused(error)


def refused(error: DeployError) -> Commands:
    """Fail the host of this operation with an error; where nothing is carried out, say it."""
    if not ctx_state.get().is_executing:  # type: ignore[no-untyped-call] # pyinfra's
        failed(here(), error)
        return

    def refuse() -> int:
        raise error

    yield FunctionCommand(carry_out, (refuse,), {})


def carry_out(state: State, host: PyinfraHost, act: Act) -> bool:  # noqa: ARG001 - or pyinfra ignores False
    """Change something on a host; whether that went well."""
    try:
        code = act()
    except DeployError as error:
        code = failed(host, error)
    except Exception:  # noqa: BLE001 - a mistake of ours: the other hosts go on
        traceback.print_exc()
        code = os.EX_SOFTWARE
    if code:
        EXIT_CODES[host] = code
    return code == 0
