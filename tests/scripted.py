"""The publish script, as the publisher calls it, for tests of what becomes of its writes."""

from collections.abc import Mapping

from shared.keys import marker
from shared.streams.server.scripts import load_script

MARKER_LIFETIME = 3_600_000
"""Milliseconds."""
NEVER = 2**52
"""A time on the server's clock, in milliseconds, that no test sees."""
SOURCE = "/tests"


def publish_script(stream: str, payloads: Mapping[str, str]) -> list[str]:
    """Return the arguments of an EVAL that publishes payloads, given by event id, in one call."""
    keys = [stream, *(marker(stream, event_id) for event_id in payloads)]
    limits = [str(MARKER_LIFETIME), "__data__", SOURCE, str(NEVER)]
    return [load_script("publish"), str(len(keys)), *keys, *limits, *payloads.values()]
