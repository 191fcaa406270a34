"""Pages of a service's OpenAPI and AsyncAPI documents; whatever they load comes from the service.

The documents are made of the running code. Swagger UI is that of the package fastapi-offline, the
viewer of events that of asyncapi-viewer: both are locked by hash like every dependency.
"""

from collections.abc import Awaitable, Callable
from importlib.resources import files

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from shared.asyncapi import specification

PAGES = {
    "/": ("openapi.html", "text/html"),
    "/events": ("events.html", "text/html"),
    "/openapi.js": ("openapi.js", "text/javascript"),
    "/docs.css": ("docs.css", "text/css"),
}
SCRIPTS = {"/openapi": "fastapi_offline", "/asyncapi": "asyncapi_viewer"}
"""Packages whose folder `static` is served, by path."""
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def documents(service: str) -> Starlette:
    """Return the pages, to be mounted one level below the application that has /openapi.json.

    Args:
        service: the name of its package, the title of its AsyncAPI document.
    """

    async def asyncapi(_request: Request) -> Response:
        return JSONResponse(specification(service).to_jsonable(), headers=HEADERS)

    return Starlette(
        routes=[
            *(Route(path, _page(*page)) for path, page in PAGES.items()),
            Route("/asyncapi.json", asyncapi),
            *(
                Mount(path, StaticFiles(packages=[(package, "static")]))
                for path, package in SCRIPTS.items()
            ),
        ]
    )


def _page(name: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
    body = files(__package__).joinpath("page", name).read_bytes()

    async def page(_request: Request) -> Response:
        return Response(body, media_type=f"{kind}; charset=utf-8", headers=HEADERS)

    return page
