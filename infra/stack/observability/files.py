"""The files of a stack that is watched, by path."""

import json
from typing import Any

import yaml

from infra.stack.compose.builds import WATCHERS
from infra.stack.observability.dashboard import dashboard
from infra.stack.observability.rules import rule_file
from infra.stack.observability.scraping import RULES, prometheus_file
from infra.stack.observability.thresholds import Thresholds
from infra.stack.plan import Plan

HEAD = "# Rendered from services.yml by `make sync-services`. Edit services.yml, not this file.\n"


def observability_files(plan: Plan) -> dict[str, str]:
    """Return the text of each file; none where the stack declares no Prometheus."""
    if not any(service.watches for service in plan.services):
        return {}
    thresholds = Thresholds()
    return {
        f"{WATCHERS}/prometheus.yml": HEAD + text_of(prometheus_file(plan, thresholds)),
        f"{WATCHERS}/{RULES}": HEAD + text_of(rule_file(plan, thresholds)),
        f"{WATCHERS}/dashboard.json": json.dumps(dashboard(plan), indent=2) + "\n",
    }


def text_of(content: dict[str, Any]) -> str:
    """Return data as YAML."""
    text: str = yaml.safe_dump(content, sort_keys=False, width=100, allow_unicode=True)
    return text
