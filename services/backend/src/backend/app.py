"""The HTTP application: every route, carried out on one database."""

from fastapi import FastAPI
from starlette.applications import Starlette

from backend import problems
from backend.bodies import BodyLimits
from backend.debug import Debug
from backend.generated.debug import debug_router
from backend.generated.users import users_router
from backend.health import health_router
from backend.users import Users
from shared.http import documents
from shared.inbox import Database


def create_app(
    database: Database, *, debug_endpoints: bool = True, console: Starlette | None = None
) -> FastAPI:
    """Return the application; it opens nothing by itself.

    Args:
        database: Where the users are.
        debug_endpoints: Whether a person may publish by hand, and read /openapi.json and
            the documents below /docs.
        console: What is served below /console; nothing without.
    """
    app = FastAPI(
        title="Herald backend",
        description="Registers the bot's users and stores every command once.",
        openapi_url="/openapi.json" if debug_endpoints else None,
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(BodyLimits)
    problems.install(app)
    app.include_router(health_router(database))
    app.include_router(users_router(Users(database)))
    if debug_endpoints:
        app.include_router(debug_router(Debug()))
        app.mount("/docs", documents("backend"))
    if console is not None:
        app.mount("/console", console)
    return app
