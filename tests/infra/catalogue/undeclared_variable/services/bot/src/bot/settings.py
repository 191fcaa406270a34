"""Its own variables, and those of the runtime."""

from typing import ClassVar

from shared.parts import RedisSettings


class Settings(RedisSettings):
    """What the bot reads."""

    kinds: ClassVar[int] = 2
    greeting_txt: str = "hello"
