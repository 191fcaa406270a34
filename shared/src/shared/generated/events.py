"""Every event of the stack: publish it, or subscribe to it.

Written by `make generate-from-spec` from shared/spec/events.yaml; do not edit.
"""

from collections.abc import Callable

from shared.generated.schemas import CommandReceived
from shared.streams import EventStream, Handler, Publication, StreamBroker

broker = StreamBroker()

command_received = EventStream(name="command_received", model=CommandReceived)


async def publish_command_received(
    event: CommandReceived, *, event_id: str | None = None
) -> Publication:
    """Publish a command that the bot received.

    Args:
        event: What happened.
        event_id: Identifies the event for good: publishing it again under the same id writes
            nothing. Without it a random one is taken.

    Returns:
        The event's id and where it stands in the stream `command_received`. While Redis is
        away, the call waits.

    Raises:
        EventRefused: The event can never be published, for example because it is too large; it
            stands in the dead letters.
        NotConnected: The broker is not connected, or was closed before there was an answer.
    """
    return await broker.publish_event(command_received, event, event_id=event_id)


def subscribe_command_received(
    *, group: str
) -> Callable[[Handler[CommandReceived]], Handler[CommandReceived]]:
    """Handle every command that the bot received.

    Args:
        group: The consumer group. Every group sees every event; the processes of one group
            share them.

    Returns:
        A decorator for the handler, which gets each event and its delivery. An event is
        acknowledged when the handler returns; when it raises, it gets the event again, and after
        too many failures the event moves to the dead letters. `TryLater` is no failure: it says
        that the handler cannot work now.
    """
    return broker.subscribe_event(command_received, group=group)
