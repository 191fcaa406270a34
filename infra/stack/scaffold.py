"""Scaffold what a newly listed service lacks; a file that exists is never touched."""

from pathlib import Path

from infra.stack.plan import Plan


def create(plan: Plan, root: Path) -> list[str]:
    """Return the paths that were created."""
    del plan, root
    return []
