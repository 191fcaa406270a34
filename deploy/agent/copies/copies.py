"""The copies of the stores on three servers, as one of these sees all of them.

A release of such a server says in `copies` who it is, who the others are, and which of its stores
have copies. Who is written to is asked of the Sentinels, of Patroni and of etcd: of each member,
over the private network, since each may know something else.
"""

import json
import time
import urllib.request
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from deploy.agent.host import docker
from deploy.agent.host.layout import Json
from deploy.agent.host.redis_cli import as_object, sentinel
from deploy.agent.host.release import Release

PATRONI, ETCD = 8008, 2379
ASK_SECONDS = 3
STANDBYS = {"quorum_standby", "sync_standby"}


@dataclass(frozen=True)
class Copies:
    """The copies that a release has.

    Attributes:
        own: This server's private address.
        members: The private addresses of all three.
        redis: What Sentinels call the primary; empty where no Redis has copies.
        postgres: Whether PostgreSQL has copies.
    """

    release: Release
    own: str
    members: tuple[str, ...]
    redis: str
    postgres: bool

    @staticmethod
    def of(release: Release) -> "Copies | None":
        """Return the copies of a release; None where it is one server's."""
        facts: Json | None = release.facts.get("copies")
        if facts is None:
            return None
        named = facts["redis"]["service"] if "redis" in facts else ""
        members = tuple(facts["members"])
        return Copies(release, facts["member"], members, named, "postgres" in facts)

    def leads(self) -> list[str]:
        """Return the stores whose writes go to this server, as far as anybody answers."""
        led = []
        if self.redis and self.primary() == self.own:
            led.append("redis")
        if self.postgres and leader(cluster(self.members)) == self.own:
            led.append("postgres")
        return led

    def saves(self) -> bool | None:
        """Whether a backup is made on this server: where the Redis is that is written to.

        PostgreSQL is asked over the private network, wherever it leads. None where nobody says who
        leads, so that no server may take it for another's task.
        """
        if self.redis:
            others = (member for member in self.members if member != self.own)
            leads = next(filter(None, map(self._named, (self.own, *others))), "")
        else:
            leads = leader(cluster(self.members))
        return leads == self.own if leads else None

    def primary(self) -> str:
        """Return whom this server's Sentinel names; empty where it does not answer."""
        return self._named(self.own)

    def lacking(self, away: Collection[str] = ()) -> list[str]:
        """Return what is not as it should be before another server is touched, a line each.

        Args:
            away: The members that are known to be gone.
        """
        there = [member for member in self.members if member not in away]
        lines = list(self._redis_lacks(there)) if self.redis else []
        return lines + (list(postgres_lacks(there)) if self.postgres else [])

    def _named(self, member: str) -> str:
        answer = sentinel(self.release, member, "GET-MASTER-ADDR-BY-NAME", self.redis)
        return str(answer[0]) if isinstance(answer, list) and answer else ""

    def _redis_lacks(self, there: list[str]) -> Iterator[str]:
        named = {member: self._named(member) for member in there}
        silent = [member for member in there if not named[member]]
        if silent:
            yield from (f"redis: the Sentinel of {member} names no primary" for member in silent)
            return
        primary, *others = set(named.values())
        if others:
            yield f"redis: the Sentinels name different primaries: {primary}, {', '.join(others)}"
            return
        for member in there:
            answer = sentinel(self.release, member, "REPLICAS", self.redis)
            listed = [as_object(facts) for facts in answer] if isinstance(answer, list) else []
            good = {facts["ip"] for facts in listed if follows(facts, primary)}
            if missing := sorted({*there} - {primary} - good):
                yield f"redis: the Sentinel of {member} lists no replica on {', '.join(missing)}"


def follows(facts: Json, primary: str) -> bool:
    """Whether a replica, as a Sentinel lists it, is connected to the primary itself."""
    linked = facts["master-link-status"] == "ok" and facts["master-host"] == primary
    return linked and "down" not in facts["flags"]


def get(url: str) -> Any:
    """Return what a member's Patroni or etcd answers; None where it does not."""
    try:
        with urllib.request.urlopen(url, timeout=ASK_SECONDS) as answer:  # noqa: S310 - http
            return json.load(answer)
    except (OSError, ValueError):
        return None


def cluster(members: Collection[str]) -> list[Json]:
    """Return what Patroni says of every member, asked of the first that answers."""
    for member in members:
        if answer := get(f"http://{member}:{PATRONI}/cluster"):
            return list(answer["members"])
    return []


def leader(said: list[Json]) -> str:
    """Return who leads and takes writes; empty where nobody does."""
    there = [facts for facts in said if facts["role"] == "leader" and facts["state"] == "running"]
    return str(there[0]["name"]) if there else ""


def postgres_lacks(there: list[str]) -> Iterator[str]:
    """Yield what is not as it should be with PostgreSQL's copies and what chooses among them."""
    for member in there:
        if (get(f"http://{member}:{ETCD}/health") or {}).get("health") != "true":
            yield f"postgres: the etcd of {member} is not healthy"
    said = {facts["name"]: facts for facts in cluster(there)}
    leads = leader(list(said.values()))
    if leads not in there:  # Patroni names one that is gone until its lock is too old
        yield "postgres: no server leads"
        return
    for member in there:
        facts = said.get(member, {"role": "unknown", "state": "unknown"})
        standby = facts["role"] in STANDBYS and facts["state"] == "streaming"
        if member != leads and not standby:
            yield (
                f"postgres: the copy of {member} does not count yet "
                f"({facts['role']}, {facts['state']})"
            )


def wait_until_whole(copies: Copies, seconds: float, away: Collection[str] = ()) -> list[str]:
    """Wait until nothing is lacking; return what still is when the time is over."""
    docker.wait_for_engine()
    deadline = time.monotonic() + seconds
    while lines := copies.lacking(away):
        if time.monotonic() > deadline:
            break
        time.sleep(1)
    return lines
