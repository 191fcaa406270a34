"""The HTTP application: every route, carried out on one engine."""

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from backend import problems
from backend.debug import Debug
from backend.generated.debug import debug_router
from backend.generated.users import users_router
from backend.health import health_router
from backend.users import Users


def create_app(engine: AsyncEngine) -> FastAPI:
    """Return the application; it opens nothing by itself."""
    app = FastAPI(
        title="Herald backend",
        description="Registers the bot's users and stores every command once.",
    )
    problems.install(app)
    app.include_router(health_router(engine))
    app.include_router(users_router(Users(engine)))
    app.include_router(debug_router(Debug()))
    return app
