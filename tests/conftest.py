"""Fixtures of every suite that needs real servers."""

from collections.abc import Iterator

import pytest

from tests.servers import RedisServer


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A Redis-compatible server of this test alone."""
    with RedisServer() as server:
        yield server
