"""The bot is tested as a process, between a real Redis and the simulator."""

from tests.conftest import redis_server, sim, telegram

__all__ = ["redis_server", "sim", "telegram"]
