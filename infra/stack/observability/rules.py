"""The alert rules. docs/ALERTS.md says of each what to do, under its name.

Source of the form: prometheus.io/docs/prometheus/latest/configuration/alerting_rules.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from infra.stack.observability.thresholds import Thresholds, scraped
from infra.stack.plan import Plan, Service

RUNBOOK = "docs/ALERTS.md"
CRITICAL, WARNING = "critical", "warning"
GROUP = "group {{ $labels.group }} of {{ $labels.stream }}"


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule: what is wrong, from when on, and what a person reads.

    Attributes:
        name: Its name, and its heading in the runbook.
        when: PromQL that has a value where something is wrong.
        lasting: How long that has to be so.
        severity: critical where events wait or are lost, warning where they soon may.
        summary: One line, with the labels of the expression.
        description: What it means.
        job: The service that the expression is about, where its labels do not say so.
    """

    name: str
    when: str
    lasting: str
    severity: str
    summary: str
    description: str
    job: str = ""

    def rule(self) -> dict[str, Any]:
        """Return it as Prometheus reads it."""
        labels = {"severity": self.severity} | ({"job": self.job} if self.job else {})
        return {
            "alert": self.name,
            "expr": self.when,
            "for": self.lasting,
            "labels": labels,
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook": f"{RUNBOOK}#{self.name.lower()}",
            },
        }


def rule_file(plan: Plan, thresholds: Thresholds) -> dict[str, Any]:
    """Return the rules of a stack, as Prometheus reads them."""
    rules = [alert.rule() for alert in alerts(plan, thresholds)]
    return {"groups": [{"name": plan.project, "rules": rules}]}


def alerts(plan: Plan, thresholds: Thresholds) -> Iterator[Alert]:
    """Yield the rules of a stack: of each service that is asked, of each bot, of Redis."""
    services = scraped(plan)
    bots = tuple(service for service in services if service.bot_token is not None)
    for service in services:
        yield _down(service, thresholds)
    for service in bots:
        yield _unpolled(service, thresholds)
    if bots:
        yield from _replies_and_lease(thresholds)
    if any(service.subscribes for service in services):
        yield from _events(thresholds)
    if any(service.publishes or service.subscribes for service in services):
        yield from _store(thresholds)
    if any(part.type == "redis" and not part.external for part in plan.infrastructure):
        yield from _backups(thresholds)


def _down(service: Service, thresholds: Thresholds) -> Alert:
    return Alert(
        "ServiceDown",
        f'absent(up{{job="{service.name}"}} == 1)',
        thresholds.down,
        CRITICAL,
        f"{service.name} does not answer",
        "No process of it answers /metrics: it has ended, hangs, or cannot be reached. Events and "
        "updates wait and are not lost.",
        job=service.name,
    )


def _unpolled(service: Service, thresholds: Thresholds) -> Alert:
    which = f'{{job="{service.name}"}}'
    fresh = f"herald_poll_age_seconds{which} < {thresholds.poll_seconds}"
    return Alert(
        "NobodyPolls",
        f"absent(herald_polls{which} == 1 and on (instance) {fresh})",
        thresholds.down,
        CRITICAL,
        f"nobody polls for {service.name}",
        "No process has the lease and a good getUpdates. Telegram keeps updates for 24 hours; "
        "after that they are lost.",
        job=service.name,
    )


def _replies_and_lease(thresholds: Thresholds) -> Iterator[Alert]:
    recent = thresholds.recent
    yield Alert(
        "LeaseTrouble",
        f"sum by (job) (increase(herald_poll_conflicts_total[{recent}])) > 0"
        " or sum by (job) (herald_polls) > 1",
        "0s",
        CRITICAL,
        "somebody else polls with the token of {{ $labels.job }}",
        "Telegram answers 409, or two processes hold the lease: updates go to two places.",
    )
    yield Alert(
        "RepliesGivenUp",
        f'sum by (job) (increase(herald_replies_total{{outcome="given_up"}}[{recent}])) > 0',
        "0s",
        WARNING,
        "{{ $labels.job }} gave up replies",
        "Telegram did not take them after several attempts. The events are stored; the senders got "
        "no answer.",
    )


def _events(thresholds: Thresholds) -> Iterator[Alert]:
    ages = '{__name__=~"herald_group_(lag|oldest_pending)_seconds"}'
    yield Alert(
        "EventsWait",
        f"max by (stream, group) ({ages}) > {thresholds.waiting_seconds}",
        thresholds.waiting,
        CRITICAL,
        f"{GROUP} is {{{{ $value | humanizeDuration }}}} behind",
        "Its oldest event is not read, or read and not finished with.",
    )
    # A counter that was not there before has not increased, as Prometheus sees it.
    new = "herald_dead_letters_total"
    yield Alert(
        "DeadLetters",
        f"sum by (stream, group) (increase({new}[{thresholds.recent}]) > 0"
        f" or ({new} unless {new} offset {thresholds.recent}))",
        "0s",
        WARNING,
        f"{GROUP} has new dead letters",
        "Events that its handler refused, or failed to handle too often, have no effect until they "
        "are replayed.",
    )

    yield Alert(
        "DeadLettersStand",
        "max by (stream) (herald_dead_letters_standing) > 0",
        thresholds.standing,
        WARNING,
        "dead letters of {{ $labels.stream }} stand: {{ $value }}",
        "Nobody has replayed or dropped them: what a handler gave up, and what was refused when it "
        "was published.",
    )


def _store(thresholds: Thresholds) -> Iterator[Alert]:
    yield Alert(
        "RedisAway",
        "absent(herald_redis_memory_used_bytes)",
        thresholds.down,
        CRITICAL,
        "Redis answers nobody",
        "Nothing is published or handled. Telegram keeps updates for 24 hours.",
    )
    yield Alert(
        "StoreNearlyFull",
        "max(herald_redis_memory_used_bytes / herald_redis_memory_limit_bytes)"
        f" > {thresholds.store_share}",
        thresholds.store,
        CRITICAL,
        "Redis has used {{ $value | humanizePercentage }} of its memory",
        "Entries that nobody has read fill it. Once it is full, commands are refused.",
    )


def _backups(thresholds: Thresholds) -> Iterator[Alert]:
    """Yield what is wrong with a server's backups; a store that is run elsewhere has its own."""
    yield Alert(
        "BackupTooOld",
        f"time() - max(herald_backup_timestamp_seconds) > {thresholds.backup_seconds}",
        "0s",
        WARNING,
        "the newest backup is {{ $value | humanizeDuration }} old",
        "The server's timer makes none, or it fails.",
    )
    yield Alert(
        "NoBackup",
        "absent(herald_backup_timestamp_seconds) unless absent(herald_redis_memory_used_bytes)",
        thresholds.without_backup,
        WARNING,
        "there has never been a backup",
        "What is stored exists once.",
    )
