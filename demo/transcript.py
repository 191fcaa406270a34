"""How the demo looks: who said what, the stream entry as XREAD returns it, the stored row."""

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from demo.scenario import STREAM, Exchange, StepFailedError

WIDTH = 100
"""Columns where there is no terminal to ask."""


class Transcript:
    """Prints to standard output; without a terminal in plain text, a fixed width wide."""

    def __init__(self) -> None:
        self._out = Console(highlight=False)
        if not self._out.is_terminal:
            self._out = Console(highlight=False, width=WIDTH, color_system=None)

    def opening(self, versions: str) -> None:
        """Say what is about to run."""
        self._out.print(Text("Herald", style="bold cyan"), Text(versions, style="dim"))
        self._out.print()

    def up(self, names: list[str], seconds: float) -> None:
        """Say that the stack is up."""
        running = " · ".join(names)
        self._out.print(Text(f"✓ {running}", style="green"), Text(f"{seconds:.1f} s", style="dim"))
        self._out.print()

    def exchange(self, happened: Exchange, *, typed: bool = False) -> None:
        """Show one message, where it does not stand there as typed, and all that came of it."""
        lines = Table.grid(padding=(0, 1))
        lines.add_column(style="bold", justify="right", width=7)
        lines.add_column(overflow="fold")
        if not typed:
            lines.add_row(Text("Ada", style="bold magenta"), Text(happened.text, style="bold"))
        lines.add_row(Text("bot", style="bold blue"), Text(happened.answer))
        if happened.entry is not None:
            lines.add_row(Text("stream", style="bold yellow"), _entry(*happened.entry))
        if happened.row is not None:
            lines.add_row(Text("SQL", style="bold green"), _row(happened.row))
        self._out.print(lines)
        self._out.print()

    def closing(self, commands: int, seconds: float) -> None:
        """Say that every command arrived once."""
        text = f"{commands} commands: each is in the stream once and in the database once."
        self._out.print(Text(f"✓ {text}", style="green"), Text(f"{seconds:.1f} s", style="dim"))

    def prompt(self, page: str) -> None:
        """Say how to go on."""
        self._out.print()
        self._out.print(f"Write to the bot, or open {page} in a browser. Ctrl-C ends the demo.")

    def ask(self) -> None:
        """Print the prompt."""
        self._out.print(Text("    Ada ", style="bold magenta"), end="")

    def failure(self, failed: StepFailedError) -> None:
        """Say which step failed, why, and what the process at fault logged last."""
        log: RenderableType = Text(failed.log or "it logged nothing")
        panel = Panel(log, title=f"last lines of {failed.process}", style="dim", title_align="left")
        errors = Console(stderr=True, highlight=False)
        errors.print(Group(Text(f"✗ {failed.step}: {failed.reason}", style="bold red"), panel))


def _entry(entry_id: str, fields: dict[str, str]) -> RenderableType:
    """Return a stream entry: its id, then each field with its value as it stands in Redis."""
    lines = [Text(f"XREAD STREAMS {STREAM} → {entry_id}", style="dim")]
    for name, value in fields.items():
        lines.append(Text(name, style="cyan"))
        lines.append(Text(value, overflow="fold"))
    return Group(*lines)


def _row(row: dict[str, Any]) -> RenderableType:
    """Return one row of the database as a small table."""
    table = Table(show_edge=False, pad_edge=False, header_style="dim", box=SIMPLE_HEAD)
    for name, value in row.items():
        table.add_column(name, overflow="fold", no_wrap=not isinstance(value, str))
    table.add_row(*(str(value) for value in row.values()))
    return table
