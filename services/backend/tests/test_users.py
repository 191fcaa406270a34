"""The users API: registering is idempotent, whoever asks and however often."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from backend.app import create_app
from backend.tables import users
from shared.inbox import Database

Connect = Callable[[str], Database]

ANN = {"id": 4242, "first_name": "Ann", "username": "ann", "language_code": "en"}


async def test_a_new_user_is_created(api: httpx.AsyncClient) -> None:
    """201 and the whole user, with a time that has its offset."""
    response = await api.post("/users", json=ANN)
    assert response.status_code == 201
    user = response.json()
    assert user.items() >= ANN.items()
    assert user["last_name"] is None
    assert user["registered_at"].endswith("Z")


async def test_a_known_user_is_refused_with_the_reason(api: httpx.AsyncClient) -> None:
    """409 with a problem that says so; what was stored first stays."""
    await api.post("/users", json=ANN)
    response = await api.post("/users", json={**ANN, "first_name": "Mallory"})
    assert response.status_code == 409
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"] == "the user 4242 is registered already"
    assert (await api.get("/users/4242")).json()["first_name"] == "Ann"


async def test_of_many_requests_for_one_user_exactly_one_creates(
    api: httpx.AsyncClient, database: Database, database_url: str, connect_to: Connect
) -> None:
    """Forty requests at once through two engines, as from two processes: one 201, one row."""
    transport = httpx.ASGITransport(create_app(connect_to(database_url)))
    async with httpx.AsyncClient(transport=transport, base_url="http://other") as second:
        responses = await asyncio.gather(
            *(client.post("/users", json=ANN) for client in (api, second) for _ in range(20))
        )
    assert sorted(response.status_code for response in responses) == [201] + [409] * 39
    async with database.begin() as connection:
        assert await connection.scalar(select(func.count()).select_from(users)) == 1


async def test_a_user_is_returned_as_registered(api: httpx.AsyncClient) -> None:
    """GET gives the very body that POST gave, also from SQLite, which keeps no offsets."""
    created = await api.post("/users", json=ANN)
    read = await api.get("/users/4242")
    assert read.status_code == 200
    assert read.json() == created.json()


async def test_an_unknown_user_is_not_found(api: httpx.AsyncClient) -> None:
    """404 with a problem that names the id."""
    response = await api.get("/users/7")
    assert response.status_code == 404
    assert response.json()["detail"] == "no user 7 is registered"


@pytest.mark.parametrize("name", ["Zoë 🚀", "علي", "", "a" * 256, "x\u0000y"])
async def test_any_name_that_telegram_allows_is_kept(api: httpx.AsyncClient, name: str) -> None:
    """Emoji, right-to-left text, nothing at all; a NUL becomes U+FFFD, which every text holds."""
    response = await api.post("/users", json={"id": 1, "first_name": name})
    assert response.status_code == 201
    assert (await api.get("/users/1")).json()["first_name"] == name.replace("\0", "\ufffd")


@pytest.mark.parametrize("user_id", [1, 2**52 - 1])
async def test_every_identifier_of_telegram_fits(api: httpx.AsyncClient, user_id: int) -> None:
    """Identifiers have up to 52 bits."""
    assert (await api.post("/users", json={**ANN, "id": user_id})).status_code == 201
    assert (await api.get(f"/users/{user_id}")).json()["id"] == user_id


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"first_name": "Ann"}, "body.id"),
        ({"id": "x", "first_name": "Ann"}, "body.id"),
        ({"id": 0, "first_name": "Ann"}, "body.id"),
        ({"id": 2**52, "first_name": "Ann"}, "body.id"),
        ({"id": 1}, "body.first_name"),
        ({"id": 1, "first_name": None}, "body.first_name"),
        ([], "body"),
        (None, "body"),
    ],
)
async def test_a_body_that_does_not_fit_is_refused_with_the_place(
    api: httpx.AsyncClient, body: Any, place: str
) -> None:
    """422 with every fault and where it is."""
    response = await api.post("/users", json=body)
    assert response.status_code == 422
    assert place in [fault["place"] for fault in response.json()["errors"]]


@pytest.mark.parametrize("content", [b'{"id":1,', b"\xff\xfe", b"{'id': 1}", b"id=1"])
async def test_malformed_json_is_refused_with_the_reason(
    api: httpx.AsyncClient, content: bytes
) -> None:
    """400 with a body that says why."""
    headers = {"content-type": "application/json"}
    response = await api.post("/users", content=content, headers=headers)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert "JSON" in response.json()["detail"] or "parsing" in response.json()["detail"]


async def test_an_unknown_path_is_a_problem_too(api: httpx.AsyncClient) -> None:
    """Every failure has one shape, also those of the framework."""
    for response in (await api.get("/nowhere"), await api.delete("/users")):
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == response.status_code
