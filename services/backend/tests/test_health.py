"""Readiness on the API; the process tests turn each reason red and green again."""

from collections.abc import Callable

import httpx

from backend.app import create_app
from shared.inbox import Database


async def test_ready_names_a_database_that_is_away(
    api: httpx.AsyncClient, connect_to: Callable[[str], Database]
) -> None:
    """503 and the reason, while /health stays green: restarting would not help."""
    reasons = (await api.get("/ready")).json()["reasons"]
    assert not [reason for reason in reasons if reason.startswith("database: ")]
    away = connect_to("postgresql+asyncpg://u:p@127.0.0.1:1/d")
    transport = httpx.ASGITransport(create_app(away))
    async with httpx.AsyncClient(transport=transport, base_url="http://backend") as client:
        response = await client.get("/ready")
        assert response.status_code == 503
        assert response.json()["reasons"][0].startswith("database: ConnectionRefusedError")
        assert (await client.get("/health")).status_code == 200
