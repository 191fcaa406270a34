"""`python -m shared.asyncapi SERVICE`: what a service publishes and handles, as AsyncAPI 3.

The document comes from the code: every module of the service is imported, which registers its
handlers and publishers, and nothing is connected. A bot has those of `shared.telegram` as well.
"""

import importlib
import os
import pkgutil
import sys
from types import SimpleNamespace
from typing import Any

from faststream.specification import AsyncAPI

from shared.generated.events import broker

BOTS = "shared.telegram"


def document(service: str) -> Any:
    """Return the AsyncAPI document of a service.

    Args:
        service: the name of its package.

    Raises:
        ModuleNotFoundError: there is no such package.
    """
    package = importlib.import_module(service)
    for module in pkgutil.walk_packages(package.__path__, f"{service}."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)
    if BOTS in sys.modules:
        dispatch: Any = importlib.import_module(f"{BOTS}.updates.dispatch")
        dispatch.handle_replayed_updates(SimpleNamespace(name=service))
    return specification(service)


def specification(service: str) -> Any:
    """Return the document of what is registered in this process, under a service's name."""
    return AsyncAPI(broker, title=service).to_specification()


def main() -> int:
    """Print the document of the service that is named; return an exit code of sysexits.h."""
    if len(sys.argv) != 2:  # noqa: PLR2004 — itself, and the service
        sys.stderr.write("usage: python -m shared.asyncapi SERVICE\n")
        return os.EX_USAGE
    try:
        specification = document(sys.argv[1])
    except ModuleNotFoundError as error:
        sys.stderr.write(f"asyncapi: {error}\n")
        return os.EX_DATAERR
    sys.stdout.write(specification.to_yaml())
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
