"""Typed events, the Redis Streams runtime behind them, settings and logs of every service."""
