"""What a process costs, read from /proc, and what a disk takes for one fsync."""

import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")
MEGABYTE = 1024.0


@dataclass(frozen=True)
class Memory:
    """What a process holds, in megabytes: all of it, and its share where pages are shared."""

    rss: float
    pss: float


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK


def memory(pid: int) -> Memory:
    """Return what a process holds now."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {name: float(rest.split()[0]) / MEGABYTE for name, _, rest in map(_split, lines)}
    return Memory(rss=sizes["Rss"], pss=sizes["Pss"])


def _split(line: str) -> tuple[str, str, str]:
    return line.partition(":")


def fsync_milliseconds(times: int = 50) -> float:
    """Return the median time of an fsync where the servers keep their data."""
    taken = []
    with tempfile.NamedTemporaryFile(prefix="herald-bench-") as file:
        for _ in range(times):
            file.write(b"x" * 400)
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000
