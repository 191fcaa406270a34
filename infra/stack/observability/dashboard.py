"""The dashboard, as Grafana imports it: a row of panels for each question that an operator has.

Source of the form: grafana.com/docs/grafana/latest, "Dashboard JSON model".
"""

from dataclasses import dataclass
from typing import Any

from infra.stack.plan import Plan

WIDTH = 24
COLUMNS = 3
HEIGHT = 8
RATE = "1m"


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture: its title, the unit as Grafana calls it, and PromQL by legend."""

    title: str
    unit: str
    queries: dict[str, str]


def _rate(name: str, *by: str, where: str = "") -> str:
    return f"sum by ({', '.join(by)}) (rate({name}{where}[{RATE}]))"


def _most(name: str, *by: str) -> str:
    return f"max by ({', '.join(by)}) ({name})"


def _slowest(name: str, by: str) -> str:
    return f"histogram_quantile(0.95, sum by (le, {by}) (rate({name}_bucket[{RATE}])))"


RECEIVED = "faststream_received_processed_messages"
PUBLISHED = "faststream_published_messages"
IN_HAND = "faststream_received_messages_in_process"
GROUP = "{{group}} of {{stream}}"
ROWS: dict[str, tuple[Panel, ...]] = {
    "Does it run": (
        Panel("Processes that answer", "none", {"{{job}}": "sum by (job) (up)"}),
        Panel("Processes that poll", "none", {"{{job}}": "sum by (job) (herald_polls)"}),
        Panel(
            "Since the last good getUpdates",
            "s",
            {"{{job}}": "min by (job) (herald_poll_age_seconds)"},
        ),
    ),
    "What goes through": (
        Panel("Updates a second", "ops", {"{{outcome}}": _rate("herald_updates_total", "outcome")}),
        Panel(
            "Events published a second",
            "ops",
            {"{{destination}} {{status}}": _rate(f"{PUBLISHED}_total", "destination", "status")},
        ),
        Panel(
            "Events handled a second",
            "ops",
            {"{{handler}} {{status}}": _rate(f"{RECEIVED}_total", "handler", "status")},
        ),
        Panel("Replies a second", "ops", {"{{outcome}}": _rate("herald_replies_total", "outcome")}),
        Panel(
            "Until an event is durable, 95 of 100",
            "s",
            {"{{destination}}": _slowest(f"{PUBLISHED}_duration_seconds", "destination")},
        ),
        Panel(
            "A handler's time, 95 of 100",
            "s",
            {"{{handler}}": _slowest(f"{RECEIVED}_duration_seconds", "handler")},
        ),
    ),
    "What waits": (
        Panel("Age of the oldest event not read", "s", {
            GROUP: _most("herald_group_lag_seconds", "stream", "group")}),
        Panel("Events not read", "none", {
            GROUP: _most("herald_group_lag_entries", "stream", "group")}),
        Panel("Events read and not finished with", "none", {
            GROUP: _most("herald_group_pending_entries", "stream", "group")}),
        Panel("Events in hand of running processes", "none", {
            "{{handler}} at {{job}}": f"sum by (handler, job) ({IN_HAND})"}),
        Panel("Dead letters that stand", "none", {
            "{{stream}}": _most("herald_dead_letters_standing", "stream")}),
        Panel("Retries", "none", {GROUP: "sum by (stream, group) (herald_retries_total)"}),
        Panel("Replies that wait", "none", {"{{job}}": "sum by (job) (herald_replies_waiting)"}),
    ),
    "What it takes": (
        Panel("Redis' memory", "bytes", {
            "used": "max(herald_redis_memory_used_bytes)",
            "limit": "max(herald_redis_memory_limit_bytes)"}),
        Panel("Memory of a process", "bytes", {
            "{{job}}": _most("process_resident_memory_bytes", "job")}),
        Panel("Processors", "none", {"{{job}}": _rate("process_cpu_seconds_total", "job")}),
        Panel("Events that an inbox remembers", "none", {
            "{{handler}}": _most("herald_inbox_rows", "handler")}),
        Panel("Age of the newest backup", "s", {
            "age": "time() - max(herald_backup_timestamp_seconds)"}),
        Panel("Open files", "none", {"{{job}}": _most("process_open_fds", "job")}),
    ),
}  # fmt: skip


def dashboard(plan: Plan) -> dict[str, Any]:
    """Return the dashboard of a stack, for Grafana's `import` and its provisioning alike."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        place = {"h": 1, "w": WIDTH, "x": 0, "y": top}
        panels.append({"type": "row", "title": title, "gridPos": place, "panels": []})
        top += 1
        for index, panel in enumerate(row):
            across, down = index % COLUMNS, index // COLUMNS
            width = WIDTH // COLUMNS
            at = {"h": HEIGHT, "w": width, "x": across * width, "y": top + down * HEIGHT}
            panels.append(_panel(panel, at))
        top += -(-len(row) // COLUMNS) * HEIGHT
    for number, panel_ in enumerate(panels, start=1):
        panel_["id"] = number
    return {
        "uid": plan.project,
        "title": plan.project,
        "schemaVersion": 39,
        "time": {"from": "now-3h", "to": "now"},
        "refresh": "10s",
        "templating": {"list": [{"name": "source", "type": "datasource", "query": "prometheus"}]},
        "panels": panels,
    }


def _panel(panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${source}"}
    return {
        "type": "timeseries",
        "title": panel.title,
        "gridPos": place,
        "datasource": source,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": source, "expr": query,
             "legendFormat": legend}
            for index, (legend, query) in enumerate(panel.queries.items())
        ],
    }  # fmt: skip
