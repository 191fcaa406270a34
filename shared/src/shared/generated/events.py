"""Every event of the stack: publish it, or subscribe to it.

Written by `make generate-from-spec` from shared/spec/events.yaml; do not edit.
"""

from typing import Any

from shared.generated.schemas import CommandReceived, TelegramUpdate
from shared.streams import (
    ConsumerState,
    ConsumerStoppedError,
    Delivery,
    EventPublisher,
    EventRefusedError,
    EventRouter,
    EventStream,
    EventSubscriber,
    Lease,
    Limits,
    NotConnectedError,
    Publication,
    StreamBroker,
    TooLateError,
    TryLaterError,
)

__all__ = [
    "ConsumerState",
    "ConsumerStoppedError",
    "Delivery",
    "EventPublisher",
    "EventRefusedError",
    "EventRouter",
    "EventSubscriber",
    "Lease",
    "Limits",
    "NotConnectedError",
    "Publication",
    "TooLateError",
    "TryLaterError",
    "broker",
    "command_received",
    "publish_command_received",
    "publisher_command_received",
    "refuse_command_received",
    "subscribe_command_received",
    "telegram_update",
    "publish_telegram_update",
    "publisher_telegram_update",
    "refuse_telegram_update",
    "subscribe_telegram_update",
]

broker = StreamBroker()

command_received = EventStream(name="command_received", model=CommandReceived)
telegram_update = EventStream(name="telegram_update", model=TelegramUpdate)


async def publish_command_received(
    event: CommandReceived, *, event_id: str | None = None
) -> Publication:
    """Publish a command that the bot received.

    Waits while Redis is away, for a day, and never appends one event id twice.

    Args:
        event: What happened.
        event_id: Identifies the event for good: publishing it again under the same id writes
            nothing. Without it a random one is taken.

    Returns:
        The event's id and where it stands in the stream `command_received`.

    Raises:
        EventRefusedError: The event can never be published; it stands in the dead letters.
        NotConnectedError: The broker is not connected, or was closed before there was an answer.
        TooLateError: There was none for a day: whether it was published before is not known.
    """
    return await broker.publish_event(command_received, event, event_id=event_id)


def publisher_command_received(
    *, router: EventRouter | None = None
) -> EventPublisher[CommandReceived]:
    """Register a publisher, so that this service's specification names what it publishes.

    Args:
        router: Registers it there, and with the broker that includes the router.

    Returns:
        The publisher. Above a subscription, as a decorator, it publishes what the handler returns,
        once for each event that was handled.
    """
    registrator = broker if router is None else router
    return registrator.publisher_of(command_received)


async def refuse_command_received(content: Any, *, event_id: str, reason: str) -> Publication:
    """Put what cannot become a CommandReceived now into the dead letters.

    Args:
        content: Whatever there is of the event, written as JSON; a CommandReceived can be
            replayed from there.
        event_id: Its id; once refused it is never published.
        reason: Why, for the person who reads the dead letters.

    Returns:
        The publication, where the event had been published before.

    Raises:
        EventRefusedError: Otherwise, once the refusal is durable.
    """
    return await broker.refuse_event(command_received, content, event_id=event_id, reason=reason)


def subscribe_command_received(
    *, group: str, limits: Limits | None = None, router: EventRouter | None = None
) -> EventSubscriber[CommandReceived]:
    """Handle every command that the bot received.

    Args:
        group: The consumer group. Every group sees every event; the processes of one group
            share them.
        limits: How the consumer reads and retries.
        router: Registers the handler there, and with the broker that includes the router.

    Returns:
        A decorator for the handler, which takes the event, its `Delivery`, and whatever FastStream
        can inject. An event is acknowledged when the handler returns, and delivered again when it
        raises; after the last delivery it moves to the dead letters. `TryLaterError` does not
        count as one.
    """
    registrator = broker if router is None else router
    return registrator.subscribe_event(command_received, group=group, limits=limits)


async def publish_telegram_update(
    event: TelegramUpdate, *, event_id: str | None = None
) -> Publication:
    """Hand an update to the bot's handlers again.

    Waits while Redis is away, for a day, and never appends one event id twice.

    Args:
        event: What happened.
        event_id: Identifies the event for good: publishing it again under the same id writes
            nothing. Without it a random one is taken.

    Returns:
        The event's id and where it stands in the stream `telegram_update`.

    Raises:
        EventRefusedError: The event can never be published; it stands in the dead letters.
        NotConnectedError: The broker is not connected, or was closed before there was an answer.
        TooLateError: There was none for a day: whether it was published before is not known.
    """
    return await broker.publish_event(telegram_update, event, event_id=event_id)


def publisher_telegram_update(
    *, router: EventRouter | None = None
) -> EventPublisher[TelegramUpdate]:
    """Register a publisher, so that this service's specification names what it publishes.

    Args:
        router: Registers it there, and with the broker that includes the router.

    Returns:
        The publisher. Above a subscription, as a decorator, it publishes what the handler returns,
        once for each event that was handled.
    """
    registrator = broker if router is None else router
    return registrator.publisher_of(telegram_update)


async def refuse_telegram_update(content: Any, *, event_id: str, reason: str) -> Publication:
    """Put what cannot become a TelegramUpdate now into the dead letters.

    Args:
        content: Whatever there is of the event, written as JSON; a TelegramUpdate can be
            replayed from there.
        event_id: Its id; once refused it is never published.
        reason: Why, for the person who reads the dead letters.

    Returns:
        The publication, where the event had been published before.

    Raises:
        EventRefusedError: Otherwise, once the refusal is durable.
    """
    return await broker.refuse_event(telegram_update, content, event_id=event_id, reason=reason)


def subscribe_telegram_update(
    *, group: str, limits: Limits | None = None, router: EventRouter | None = None
) -> EventSubscriber[TelegramUpdate]:
    """Handle every update that is handed over again.

    Args:
        group: The consumer group. Every group sees every event; the processes of one group
            share them.
        limits: How the consumer reads and retries.
        router: Registers the handler there, and with the broker that includes the router.

    Returns:
        A decorator for the handler, which takes the event, its `Delivery`, and whatever FastStream
        can inject. An event is acknowledged when the handler returns, and delivered again when it
        raises; after the last delivery it moves to the dead letters. `TryLaterError` does not
        count as one.
    """
    registrator = broker if router is None else router
    return registrator.subscribe_event(telegram_update, group=group, limits=limits)
