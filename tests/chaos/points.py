"""The points at which the streams runtime can be made to die, wrapped from outside.

Each is between two steps of which one is durable and the other is not done.
"""

from typing import Any

from redis.asyncio.connection import AbstractConnection

from shared.streams.consume.group import Group
from shared.streams.publish.publisher import Publisher
from tests.chaos.dying import after, before, pass_point

BEFORE_PUBLISH = "before publish"
WHILE_PUBLISHING = "while publishing"
AFTER_PUBLISH = "after publish"
AFTER_READ = "after read"
BEFORE_ACK = "after commit, before ack"
AFTER_ACK = "after ack"
PUBLISHES = b"}:id:"
"""What only a publish has in it: the markers of its events."""
DEADLY = "kills who handles it"
"""What stands in a command at which the consumer kills itself."""
UNLUCKY = "cannot be handled yet"
"""What stands in a command that both groups bury, until it is mended."""


def wrap_publisher() -> None:
    """Put points around the script call of every batch, and between its bytes and its reply."""
    send = AbstractConnection.send_packed_command

    async def send_with_point(self: Any, command: Any, *args: Any, **kwargs: Any) -> None:
        await send(self, command, *args, **kwargs)
        chunks = [command] if isinstance(command, (bytes, str)) else command
        if any(PUBLISHES in chunk for chunk in chunks if isinstance(chunk, bytes)):
            pass_point(WHILE_PUBLISHING)

    call = after(before(Publisher._send, BEFORE_PUBLISH), AFTER_PUBLISH)
    _replace(Publisher, "_send", call)
    _replace(AbstractConnection, "send_packed_command", send_with_point)


def wrap_group() -> None:
    """Put points after a read that gave entries, and around the acknowledgement."""
    _replace(Group, "read", after(Group.read, AFTER_READ))
    _replace(Group, "acknowledge", after(before(Group.acknowledge, BEFORE_ACK), AFTER_ACK))


def _replace(owner: type, name: str, by: Any) -> None:
    setattr(owner, name, by)
