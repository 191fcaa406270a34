"""What its type brings along is declared."""

from pydantic import BaseModel


class Settings(BaseModel):
    """What it reads."""

    http_host: str
    http_port: int
    log_level: str = "INFO"
