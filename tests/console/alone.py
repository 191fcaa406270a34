"""`python -m tests.console.alone`: a console by itself, which outlives what it shows."""

import asyncio
import os

from starlette.applications import Starlette
from starlette.routing import Mount

from shared.console import console
from shared.http import serving


def main() -> None:
    """Serve until a signal."""
    shown = console(
        "open",
        redis_url=os.environ["REDIS_URL"],
        service="alone",
        addresses=os.environ["CONSOLE_ADDRESSES"],
    )
    assert shown is not None
    app = Starlette(routes=[Mount("/console", shown)])
    port = int(os.environ["HTTP_PORT"])
    asyncio.run(serving(app, host="127.0.0.1", port=port)(asyncio.Event()))


if __name__ == "__main__":
    main()
