"""The dashboard's queries, run against a Prometheus that watches a real bot and backend."""

import contextlib
import json
import sqlite3
import time
from typing import Any

from infra.stack.observability.dashboard import dashboard
from shared.keys import BACKUP_TIME
from tests.observability.watched import FOLDER, PLAN, Watched

USER = 700_123_456


def panels() -> list[dict[str, Any]]:
    """Return the panels of the committed dashboard that show something."""
    content = json.loads((FOLDER / "dashboard.json").read_text())
    return [panel for panel in content["panels"] if panel["type"] != "row"]


def test_every_panel_has_data(watched: Watched) -> None:
    """Commands, a retry, a dead letter and a backup: no query stays empty, and no value is NaN."""
    client = watched.redis.client()
    client.set(BACKUP_TIME, int(time.time()))
    client.xadd("command_received", {"__data__": "no event"})
    with contextlib.closing(sqlite3.connect(watched.database)) as locked:
        locked.execute("BEGIN EXCLUSIVE")
        watched.telegram(lambda sim: sim.write("/command wait", user=USER))
        retried = "herald_retries_total > 0"
        watched.until(lambda: watched.query(retried), "an event is tried again")
        locked.rollback()
    queries = {
        f"{panel['title']}: {target['legendFormat']}": target["expr"]
        for panel in panels()
        for target in panel["targets"]
    }
    assert len(queries) > 20

    def empty() -> list[str]:
        watched.telegram(lambda sim: sim.write("/command go", user=USER))
        return [
            name
            for name, query in queries.items()
            if not any(series["value"][1] != "NaN" for series in watched.query(query))
        ]

    watched.until(lambda: not empty(), f"every panel has data, without: {empty()}")


def test_panels_have_places_of_their_own() -> None:
    """No two on top of each other, none beyond the edge; each with its own number."""
    content = dashboard(PLAN)
    taken: set[tuple[int, int]] = set()
    for panel in content["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells
    assert len({panel["id"] for panel in content["panels"]}) == len(content["panels"])
