"""prometheus.yml: whom to ask for metrics, where the rules are, who is told."""

from collections.abc import Mapping
from typing import Any

from infra.stack.observability.thresholds import Thresholds, scraped
from infra.stack.plan import Plan, Service

RULES = "rules.yml"


def prometheus_file(
    plan: Plan, thresholds: Thresholds, addresses: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return Prometheus' configuration.

    Args:
        plan: the stack.
        thresholds: has the time between two scrapes.
        addresses: HOST:PORT by service, where they are not containers of Compose: there a name
            stands for every container of the service.
    """
    jobs = [_job(service.name, _port(service), addresses) for service in scraped(plan)]
    watched = {name for service in plan.services for name in service.watches}
    receivers = [
        {key: value for key, value in _job(service.name, service.port, addresses).items()
         if key != "job_name"}
        for service in plan.services
        if service.name in watched and service.type == "alertmanager"
    ]  # fmt: skip
    every = {"scrape_interval": thresholds.scraped, "evaluation_interval": thresholds.scraped}
    alerting = {"alerting": {"alertmanagers": receivers}} if receivers else {}
    return {"global": every, "rule_files": [RULES], **alerting, "scrape_configs": jobs}


def _port(service: Service) -> int:
    return service.health.port if service.health else service.port


def _job(name: str, port: int, addresses: Mapping[str, str] | None) -> dict[str, Any]:
    if addresses is not None:
        return {"job_name": name, "static_configs": [{"targets": [addresses[name]]}]}
    names = {"names": [name], "type": "A", "port": port, "refresh_interval": "5s"}
    return {"job_name": name, "dns_sd_configs": [names]}
