"""The HTTP application: every route, carried out on one engine."""

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from backend import problems
from backend.bodies import BodyLimits
from backend.debug import Debug
from backend.generated.debug import debug_router
from backend.generated.users import users_router
from backend.health import health_router
from backend.users import Users


def create_app(engine: AsyncEngine, *, debug_endpoints: bool = True) -> FastAPI:
    """Return the application; it opens nothing by itself.

    Args:
        engine: Where the users are.
        debug_endpoints: Whether a person may publish by hand and read the documentation, a page
            whose scripts come from elsewhere.
    """
    app = FastAPI(
        title="Herald backend",
        description="Registers the bot's users and stores every command once.",
        docs_url="/docs" if debug_endpoints else None,
        redoc_url=None,
    )
    app.add_middleware(BodyLimits)
    problems.install(app)
    app.include_router(health_router(engine))
    app.include_router(users_router(Users(engine)))
    if debug_endpoints:
        app.include_router(debug_router(Debug()))
    return app
