"""The agent's own file on the host, for whatever finds a cut-over or a restore unfinished."""

import os
import shutil
import sys
from pathlib import Path

from deploy.agent.host.layout import PROGRAM, Layout, sync_folder


def keep_program(layout: Layout) -> None:
    """Keep the program that writes the journal: what finds it after a crash needs just that one."""
    new = layout.root / ".agent.pyz.new"
    shutil.copyfile(Path(sys.argv[0]).resolve(), new)
    with new.open("rb") as file:
        os.fsync(file.fileno())
    new.replace(layout.root / PROGRAM)
    sync_folder(layout.root)
