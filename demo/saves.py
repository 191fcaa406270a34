"""Starts again what was saved."""

import asyncio
from pathlib import Path

from watchfiles import awatch

from demo.happenings import Notice, Tell
from demo.stack import Stack
from infra.dev.saves import changed_services, source_folders

ENV, DECLARATION = ".env", "services.yml"


async def restart_on_save(stack: Stack, tell: Tell) -> None:
    """Start a service again when one of its sources, or a variable of it in .env, is saved."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_sources(stack))
        group.create_task(_papers(stack, tell))


async def _sources(stack: Stack) -> None:
    root = stack.wiring.root
    async for changes in awatch(*source_folders(root)):
        saved = [Path(path).relative_to(root) for _, path in changes]
        if names := changed_services(saved, [s.name for s in stack.wiring.services]):
            await stack.restart(names, f"{saved[0].name} was saved")


async def _papers(stack: Stack, tell: Tell) -> None:
    root = stack.wiring.root
    async for changes in awatch(root, recursive=False):
        saved = {Path(path).name for _, path in changes}
        if ENV in saved and (names := stack.changed_by_env_file()):
            await stack.restart(names, f"{ENV} was saved")
        if DECLARATION in saved:
            tell(Notice(f"{DECLARATION} was saved: the demo shows it when it is started again"))
