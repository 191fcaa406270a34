"""Who the primary is, by a majority of the Sentinels.

The first to answer does not do: one that was cut off from the others names yesterday's primary, and
what is written there is thrown away when the cut ends. One question is one round trip here; a
client of redis-py makes four, and leaves its socket open where it is cancelled.

Source: redis.io/docs/latest/operate/oss_and_stack/management/sentinel/.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass

from redis.exceptions import ConnectionError as RedisConnectionError

from shared.streams.server.line import packed

SENTINEL_TIMEOUT = 0.5
"""Seconds that a Sentinel has to answer; one that is slower does not count."""

Address = tuple[str, int]


class NoPrimaryError(RedisConnectionError):
    """No majority of the Sentinels names the same primary now; like any outage, it passes."""


@dataclass(slots=True)
class Sentinels:
    """Knows where the primary of a service is.

    Attributes:
        hosts: every Sentinel, as host and port; half of them and one more decide.
        service: what they call the primary.
        run_id: of the primary that was connected to last; empty before the first connection.
    """

    hosts: tuple[Address, ...]
    service: str
    run_id: str = ""

    async def primary(self) -> Address:
        """Return host and port of the server that more than half of the Sentinels name.

        Raises:
            NoPrimaryError: there is none, or too few of them answer.
        """
        asking = [asyncio.create_task(self._ask(host)) for host in self.hosts]
        named: Counter[Address] = Counter()
        try:
            for answer in asyncio.as_completed(asking):
                address = await answer
                if address is None:
                    continue
                named[address] += 1
                if 2 * named[address] > len(self.hosts):
                    return address
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        if 2 * named.total() > len(self.hosts):
            raise NoPrimaryError(f"the Sentinels do not agree on the primary of {self.service}")
        raise NoPrimaryError(
            f"only {named.total()} of {len(self.hosts)} Sentinels name a primary of {self.service}"
        )

    async def _ask(self, host: Address) -> Address | None:
        """Return whom one Sentinel names; None where it names nobody or does not answer."""
        try:
            async with asyncio.timeout(SENTINEL_TIMEOUT):
                reader, writer = await asyncio.open_connection(*host)
                try:
                    writer.write(packed("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.service))
                    return await _address(reader)
                finally:
                    writer.close()
        except (OSError, ValueError):  # TimeoutError is an OSError
            return None


async def _address(reader: asyncio.StreamReader) -> Address | None:
    """Return the address in a Sentinel's answer, which is an array of host and port, or none."""
    if await reader.readline() != b"*2\r\n":
        return None
    lines = [(await reader.readline()).decode().strip() for _ in range(4)]
    return lines[1], int(lines[3])
