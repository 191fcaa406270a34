"""How it looks: who said what, the stream entry as XREAD returns it, the stored row."""

from collections.abc import Mapping
from functools import partial

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from demo.happenings import Entry, Handled, Happening, Notice, Row, Said, StepFailedError

WIDTH = 100
"""Columns where there is no terminal to ask."""
NAMES = 7
"""Columns of the names at the left."""


class Transcript:
    """Prints to standard output; without a terminal in plain text, a fixed width wide."""

    def __init__(self) -> None:
        self._console = partial(Console, highlight=False)
        self._typed: list[str] = []
        if not self._console().is_terminal:
            self._console = partial(Console, highlight=False, width=WIDTH, color_system=None)

    def opening(self, page: str, console: str) -> None:
        """Say where the chat page and the console will be, and what is about to run."""
        self._print(Text("Herald", style="bold cyan"), Text(f"chat page: {page}", style="bold"))
        if console:
            self._print(Text(f"       console:   {console}", style="bold"))
        self._print(Text("one stack, no token, no Docker; starting …", style="dim"))

    def up(self, names: list[str], seconds: float) -> None:
        """Say that the stack is up."""
        running = " · ".join(names)
        self._print(Text(f"✓ {running}", style="green"), Text(f"{seconds:.1f} s", style="dim"))
        self._print()

    def tell(self, happening: Happening) -> None:
        """Show what has happened."""
        match happening:
            case Said():
                if not happening.bot and happening.text in self._typed:
                    self._typed.remove(happening.text)
                else:
                    self._said(happening)
            case Entry():
                self._line("stream", "bold yellow", _entry(happening))
            case Handled():
                text = f"{happening.entry.stream} {happening.entry.id} by {happening.group}"
                self._line("handled", "dim", Text(text, style="dim"))
            case Row():
                self._line("SQL", "bold green", _row(happening))
            case Notice():
                mark, style = ("·", "dim") if happening.good else ("!", "bold red")
                self._line(mark, style, Text(happening.text, style=style))

    def typed(self, text: str) -> None:
        """Leave out the next message that says this: it stands there already, as it was typed."""
        self._typed.append(text)

    def closing(self, text: str, seconds: float) -> None:
        """Say that everything arrived."""
        self._print()
        self._print(Text(f"✓ {text}", style="green"), Text(f"{seconds:.1f} s", style="dim"))

    def prompt(self, page: str, console: str, keys: str, redis_url: str) -> None:
        """Say how to go on: where everything is once more, since it has scrolled away."""
        self._print()
        lines = {"chat": page, "console": console and f"{console}  the chat is beside it"}
        lines["keys"] = keys
        lines["events"] = redis_url and f"in another terminal: REDIS_URL={redis_url} make events"
        for name, text in lines.items():
            if text:
                self._line(name, "bold cyan", Text(text, overflow="fold"))
        self._print("Write here or in the chat; a save restarts its service; Ctrl-C ends the demo.")

    def logs(self, lines: Mapping[str, list[str]]) -> None:
        """Show lines of logs, each with the name of its service."""
        width = max(map(len, lines), default=0)
        for name, logged in lines.items():
            for line in logged:
                self._print(Text(f"{name:>{width}} ", style="bold cyan") + Text(line, style="dim"))
        if not any(lines.values()):
            self._line("·", "dim", Text("nothing was logged", style="dim"))

    def failure(self, failed: StepFailedError) -> None:
        """Say which step failed, why, and what the process at fault logged last."""
        log: RenderableType = Text("\n".join(failed.log) or "it logged nothing")
        panel = Panel(log, title=f"last lines of {failed.process}", style="dim", title_align="left")
        errors = Console(stderr=True, highlight=False)
        errors.print(Group(Text(f"✗ {failed.step}: {failed.reason}", style="bold red"), panel))

    def _said(self, said: Said) -> None:
        if not said.bot and not said.edited:
            self._print()
        style = "bold blue" if said.bot else "bold magenta"
        text = Text(said.text, style="" if said.bot else "bold")
        if said.edited:
            text.append("  (edited)", style="dim")
        for button in said.buttons:
            text.append(" " if button is not said.buttons[0] else "\n")
            text.append(f"[ {button} ]", style="cyan")
        self._line(said.who[:NAMES], style, text)

    def _line(self, name: str, style: str, content: RenderableType) -> None:
        grid = Table.grid(padding=(0, 1))
        grid.add_column(style=style, justify="right", width=NAMES)
        grid.add_column(overflow="fold")
        grid.add_row(Text(name, style=style), content)
        self._print(grid)

    def _print(self, *parts: RenderableType) -> None:
        # A console of its own each time: at the prompt, sys.stdout is another one than before.
        self._console().print(*parts)


def _entry(entry: Entry) -> RenderableType:
    """Return a stream entry: its id, then each field with its value as it stands in Redis."""
    lines = [Text(f"XREAD STREAMS {entry.stream} → {entry.id}", style="dim")]
    for name, value in entry.fields.items():
        lines.append(Text(name, style="cyan"))
        lines.append(Text(value, overflow="fold"))
    return Group(*lines)


def _row(row: Row) -> RenderableType:
    """Return one row of the database: its table, then what each column holds."""
    text = Text(f"{row.table} ", style="dim", overflow="fold")
    for name, value in row.values.items():
        text.append(f" {name} ", style="cyan")
        text.append(str(value), style="default")
    return text
