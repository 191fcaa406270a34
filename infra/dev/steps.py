"""A run is a list of steps, each one command; what failed is said at the end, all of it."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic

from infra.dev.environment import ROOT


@dataclass(frozen=True)
class Step:
    """One command, run in the repository."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)


def run_steps(steps: Sequence[Step]) -> int:
    """Run every step, also after a failure; return 0 when all of them succeeded, else 1."""
    failed = []
    for step in steps:
        began = monotonic()
        env = {**os.environ, **step.env}
        code = subprocess.run(step.command, cwd=ROOT, env=env, check=False).returncode
        mark = "ok" if code == 0 else f"failed ({code})"
        print(f"{step.name:<28} {mark:<12} {monotonic() - began:5.1f} s", flush=True)
        if code:
            failed.append(step.name)
    if failed:
        print(f"failed: {', '.join(failed)}", flush=True)
    return 1 if failed else 0
