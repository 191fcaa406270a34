"""What every service of this example reads."""

from pydantic import BaseModel


class RedisSettings(BaseModel):
    """An address."""

    redis_url: str
    redis_timeout: float = 1.0
