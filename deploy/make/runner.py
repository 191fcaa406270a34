"""`make`'s way to run a recipe: pyinfra's API in this process, with our words and exit codes."""

import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence

import gevent  # type: ignore[import-untyped] # it has no types of its own
from pyinfra import logger
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import Host as PyinfraHost
from pyinfra.api.operations import run_ops
from pyinfra.api.state import BaseStateCallback, State
from pyinfra.context import ctx_config, ctx_host, ctx_state

from deploy.inventory import Host
from deploy.outcome import EXIT_CODES, say_on
from deploy.ssh.connection import hang_up, state_of

STOP_SECONDS = 10


def run(
    hosts: Sequence[Host],
    recipe: Callable[[], object],
    *,
    dry: bool,
    report: bool = False,
    verbose: bool = False,
) -> int:
    """Have pyinfra carry out a recipe on hosts side by side; return the worst one's exit code.

    Args:
        hosts: Where; each is connected to by the first that needs it.
        recipe: Calls pyinfra's operations.
        dry: Have the operations say what they would do; carry out none.
        report: The recipe is a list of pyinfra's own operations: say which have changed something.
        verbose: Say all that pyinfra says of them.
    """
    level = logging.CRITICAL if not report else logging.INFO if dry or verbose else logging.ERROR
    show(many=len(hosts) > 1, level=level)
    state = state_of(hosts, look=dry)
    members = list(state.inventory)
    for host in members:
        state.activate_host(host)
    if report and not (dry or verbose):
        state.add_callback_handler(Changes())  # type: ignore[no-untyped-call] # pyinfra's
    try:
        with ctx_state.use(state):
            gevent.joinall([state.pool.spawn(prepare, state, host, recipe) for host in members])
            carry_out(state, dry=dry, report=report and (dry or verbose))
    except KeyboardInterrupt:
        state.pool.kill(timeout=STOP_SECONDS)
        raise
    finally:
        for host in members:
            hang_up(host)
    return max(exit_code(state, host) for host in members)


def prepare(state: State, host: PyinfraHost, recipe: Callable[[], object]) -> None:
    """Have a host's operations made; one that cannot be asked is left out from here on."""
    with ctx_host.use(host), ctx_config.use(state.config.copy()):
        try:
            recipe()
        except PyinfraError:
            leave_out(state, host)
        except Exception:  # noqa: BLE001 - a mistake of ours: the other hosts go on
            traceback.print_exc()
            EXIT_CODES[host] = os.EX_SOFTWARE
            leave_out(state, host)


def leave_out(state: State, host: PyinfraHost) -> None:
    """Have nothing more be done on a host."""
    state.failed_hosts.add(host)
    state.active_hosts.discard(host)


def carry_out(state: State, *, dry: bool, report: bool) -> None:
    """Carry out what was prepared; report what was done, or what would be."""
    if not dry:
        try:
            run_ops(state)
        except PyinfraError as error:
            # No host is left, or a connection broke in one of pyinfra's own steps: it then stops.
            if state.active_hosts:
                logger.error("%s", error)
        for host, ops in state.ops.items():
            metas = [operation.operation_meta for operation in ops.values()]
            if not all(meta.is_complete() and meta.did_succeed() for meta in metas):
                state.failed_hosts.add(host)
    if report:
        # Importing it changes the standard library for good, in a process that may not want that.
        from pyinfra_cli import prints  # type: ignore[import-untyped] # noqa: PLC0415

        (prints.print_meta if dry else prints.print_results)(state)


def exit_code(state: State, host: PyinfraHost) -> int:
    """Return what a host's work came to; the failure of one of pyinfra's own steps is said here."""
    if host in state.failed_hosts and host not in EXIT_CODES:
        logger.error("", extra={"herald": host, "text": "a step failed"})
        EXIT_CODES[host] = os.EX_UNAVAILABLE
    return EXIT_CODES.get(host, os.EX_OK)


class Changes(BaseStateCallback):
    """Says of each of pyinfra's own operations on which hosts it has changed something."""

    @staticmethod
    def operation_end(state: State, op_hash: str) -> None:
        """Look at how an operation went."""
        for host, ops in state.ops.items():
            operation = ops.get(op_hash)
            if operation and operation.operation_meta.is_complete():
                name = next(iter(state.get_op_meta(op_hash).names)).rpartition(" | ")[2]
                if operation.operation_meta.did_change():
                    say_on(host)(f"  done: {name}")


def show(*, many: bool, level: int = logging.CRITICAL) -> None:
    """Print our own words of all that is logged, and pyinfra's from a level on."""
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [Words(many=many, level=level)]


class Words(logging.Handler):
    """Prints what `outcome` says, errors as `make` has them; pyinfra's words from a level on."""

    def __init__(self, *, many: bool, level: int) -> None:
        super().__init__()
        self._many, self._from = many, level

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line."""
        host, text = getattr(record, "herald", None), getattr(record, "text", "")
        if host is None:
            if record.levelno >= self._from:
                print(record.getMessage(), flush=True)
        elif record.levelno >= logging.ERROR:
            print(f"herald: {host.name}: {text}", file=sys.stderr, flush=True)
        else:
            print(f"{host.name}: {text}" if self._many else text, flush=True)
