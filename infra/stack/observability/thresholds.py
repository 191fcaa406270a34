"""From when on something is wrong: every number of the alert rules, in one place."""

from dataclasses import dataclass

from infra.stack.plan import Plan, Service


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Numbers of the rules; durations as Prometheus writes them, or in seconds.

    Attributes:
        scraped: Time between two scrapes, and between two looks at the rules.
        down: How long nobody may answer or poll; longer than a deploy hands over.
        poll_seconds: Age of the last good getUpdates. A long poll takes 30 s, and an unanswered one
            is given up after 10 more.
        waiting_seconds: Age of the oldest event that no group has finished with.
        waiting: How long it may be older. A handler's retries take less.
        store_share: Share of Redis' memory. From 0.7 on finished entries go early, so that more
            than this is what nobody has read; from 0.95 on writes are refused.
        store: How long more may be used.
        standing: How long dead letters may wait for a person.
        recent: For how long something that happened once stays an alert.
        backup_seconds: Age of the newest backup: a day, and two hours for one that is late.
        without_backup: How long there may be none at all.
    """

    scraped: str = "15s"
    down: str = "2m"
    poll_seconds: int = 120
    waiting_seconds: int = 120
    waiting: str = "2m"
    store_share: float = 0.8
    store: str = "2m"
    standing: str = "1h"
    recent: str = "15m"
    backup_seconds: int = 26 * 3600
    without_backup: str = "26h"


def scraped(plan: Plan) -> tuple[Service, ...]:
    """Return the services that Prometheus asks, in start order."""
    watched = {name for service in plan.services for name in service.watches}
    return tuple(service for service in plan.services if service.name in watched and service.built)
