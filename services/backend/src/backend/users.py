"""The users API: who has talked to the bot."""

from http import HTTPStatus

import structlog
from sqlalchemy import select

from backend.problems import ProblemError
from backend.tables import users
from shared.generated.schemas import User, UserCreate
from shared.inbox import Database, insert_new, now, storable

log = structlog.get_logger(__name__)


class Users:
    """Carries out the operations of spec/users.yaml on the table `users`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create_user(self, body: UserCreate) -> User:
        """Register the user; a refusal with 409 says that somebody has done so before."""
        user = User(**body.model_dump(), registered_at=now())
        row = {key: _storable(value) for key, value in user.model_dump().items()}
        async with self._database.begin() as connection:
            new = await insert_new(connection, users, [row], users.c.id)
        if not new:
            raise ProblemError(HTTPStatus.CONFLICT, f"the user {body.id} is registered already")
        log.info("user registered", user_id=body.id)
        return user

    async def get_user(self, user_id: int) -> User:
        """Return the user; a refusal with 404 says that nobody has this id."""
        async with self._database.begin() as connection:
            rows = await connection.execute(select(users).where(users.c.id == user_id))
            row = rows.mappings().one_or_none()
        if row is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, f"no user {user_id} is registered")
        return User.model_validate(dict(row))


def _storable(value: object) -> object:
    return storable(value) if isinstance(value, str) else value
