"""Telegram bot that publishes every command to Redis Streams."""
