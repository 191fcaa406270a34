"""Another server leads what this one does, before its stores stop."""

import base64
import json
import time
import urllib.error
import urllib.request

from deploy.agent.copies.copies import PATRONI, Copies, cluster, leader
from deploy.agent.host.audit import Audit
from deploy.agent.host.errors import AgentError
from deploy.agent.host.layout import Layout
from deploy.agent.host.redis_cli import Redis, sentinel
from deploy.agent.host.release import Release

MOVES_WITHIN = 90.0


def hand_over(layout: Layout, copies: Copies, audit: Audit) -> None:
    """Have other servers lead what this one does, before its stores stop.

    Raises:
        AgentError: No other server takes over; this one still leads.
    """
    led = copies.leads()
    if "redis" in led:
        began = time.monotonic()
        _redis_over(copies)
        took = time.monotonic() - began
        audit.note("handed over", f"redis: {copies.primary()} leads ({took:.1f} s)")
    if "postgres" in led:
        began = time.monotonic()
        now = _postgres_over(layout, copies)
        took = time.monotonic() - began
        audit.note("handed over", f"postgres: {now} leads ({took:.1f} s)")


def _redis_over(copies: Copies) -> None:
    """Have Sentinel choose another primary, and wait until that takes writes."""
    deadline, answer = time.monotonic() + MOVES_WITHIN, None
    while copies.primary() == copies.own:
        # It refuses while it has just done so, or while it knows of no replica that is good.
        answer = sentinel(copies.release, "", "FAILOVER", copies.redis)
        if time.monotonic() > deadline:
            raise AgentError(f"redis: no other server takes over: Sentinel says {answer!r}")
        time.sleep(1)
    while not _takes_writes(copies.release):
        if time.monotonic() > deadline:
            raise AgentError("redis: the server that takes over does not answer as the primary")
        time.sleep(0.3)


def _takes_writes(release: Release) -> bool:
    try:
        answer = Redis.of(release).ask("ROLE")
    except AgentError:
        return False
    return isinstance(answer, list) and answer[0] == "master"


def _postgres_over(layout: Layout, copies: Copies) -> str:
    """Have Patroni switch over, and return who leads then."""
    facts = copies.release.facts
    file = layout.secrets / facts["secrets"][facts["copies"]["postgres"]["password"]]
    login = base64.b64encode(f"operator:{file.read_text().strip()}".encode()).decode()
    request = urllib.request.Request(
        f"http://{copies.own}:{PATRONI}/switchover",
        json.dumps({"leader": copies.own}).encode(),
        {"Authorization": f"Basic {login}", "Content-Type": "application/json"},
    )
    deadline, said = time.monotonic() + MOVES_WITHIN, ""
    while (now := leader(cluster(copies.members))) in {"", copies.own}:
        if now == copies.own:
            try:
                with urllib.request.urlopen(request, timeout=MOVES_WITHIN):  # noqa: S310 - http
                    pass
            except urllib.error.HTTPError as error:
                said = error.read().decode(errors="replace").strip()
            except OSError as error:
                said = str(error)
        if time.monotonic() > deadline:
            raise AgentError(f"postgres: no other server takes over: {said or 'nobody leads'}")
        time.sleep(0.5)
    return now
