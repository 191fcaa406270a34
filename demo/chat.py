"""The prompt at a terminal: a person writes to the bot, reads logs, starts a service again."""

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.formatted_text import HTML
from prompt_toolkit.patch_stdout import patch_stdout

from demo.happenings import Notice, StepFailedError
from demo.scenario import Scenario
from demo.stack import Stack
from demo.transcript import Transcript

COMMANDS = "Enter: new log lines, :log SERVICE: its last ones, :restart SERVICE"
LOG, RESTART = ":log", ":restart"
LINES = 30
"""Lines of a log that are shown."""


class Chat:
    """One person's conversation with the stack."""

    def __init__(self, stack: Stack, scenario: Scenario, transcript: Transcript) -> None:
        self._stack, self._scenario, self._transcript = stack, scenario, transcript
        self._names = stack.processes.names()

    async def run(self) -> None:
        """Read lines until end of input or Ctrl-C."""
        words = [f"/{name}" for name in await self._scenario.commands()]
        words += [f"{verb} {name}" for verb in (LOG, RESTART) for name in self._names]
        session: PromptSession[str] = PromptSession(
            HTML("<b><ansimagenta>    Ada </ansimagenta></b>"),
            completer=WordCompleter(words, sentence=True),
            complete_while_typing=False,
        )
        self._stack.processes.new_lines(self._names)
        with patch_stdout(raw=True):
            while True:
                try:
                    line = await session.prompt_async(handle_sigint=False)
                except (EOFError, KeyboardInterrupt):
                    return
                await self.do(line.strip())

    async def do(self, line: str) -> None:
        """Do what a line asks for."""
        verb, _, rest = line.partition(" ")
        if not line:
            self._transcript.logs(self._stack.processes.new_lines(self._names))
        elif verb in {LOG, RESTART}:
            await self._of_service(verb, rest.strip())
        else:
            try:
                self._transcript.typed(line)
                await self._scenario.say(line)
            except StepFailedError as failed:
                self._transcript.failure(failed)

    async def _of_service(self, verb: str, name: str) -> None:
        names = [name] if name else list(self._names)
        if name and name not in self._names:
            known = ", ".join(self._names)
            self._transcript.tell(Notice(f"no service is called {name!r}; there are: {known}"))
        elif verb == LOG:
            lines = {name: self._stack.processes.last_lines(name, LINES) for name in names}
            self._transcript.logs(lines)
        else:
            await self._stack.restart(names, "you asked for it")
