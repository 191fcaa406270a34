"""`python -m demo`: run the stack, print the transcript, at a terminal stay as a chat prompt."""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from pathlib import Path
from time import monotonic

from demo.happenings import Notice, StepFailedError
from demo.processes import Processes
from demo.saves import restart_on_save
from demo.scenario import Scenario, script
from demo.stack import Stack
from demo.transcript import Transcript
from demo.watch import Watch
from demo.wiring import Wiring
from infra.stack import InputError, load_plan

SERVICES = "services.yml"


class Demo:
    """One run of the demo.

    Attributes:
        chatting: Whether it has come to the prompt, which a signal ends as it is meant to end.
    """

    def __init__(self, wiring: Wiring, transcript: Transcript) -> None:
        self._transcript = transcript
        self.stack = Stack(wiring, Processes(wiring.folder), transcript.tell)
        self.chatting = False

    async def run(self) -> None:
        """Start the stack, hold the conversation, chat on at a terminal.

        Raises:
            StepFailedError: what the demo cannot do without did not happen within its time.
        """
        began = monotonic()
        stack, transcript = self.stack, self._transcript
        page = stack.wiring.url(stack.wiring.simulator.name)
        transcript.opening(page, stack.wiring.console)
        transcript.up(await stack.start(), monotonic() - began)
        watch = Watch(stack, transcript.tell)
        watching = asyncio.create_task(watch.run())
        saves = asyncio.create_task(restart_on_save(stack, transcript.tell))
        try:
            await watch.ready()
            bots = [bot for bot in stack.wiring.bots if bot.name not in stack.failed]
            scenarios = [Scenario(stack, watch, transcript.tell, bot) for bot in bots]
            scenarios = scenarios or [Scenario(stack, watch, transcript.tell, None)]
            for bot, scenario in zip(bots, scenarios, strict=False):
                if len(bots) > 1:
                    transcript.tell(Notice(f"to {bot.name}", good=True))
                for text in script(await scenario.meet()):
                    await scenario.follow(await scenario.say(text))
            if bots:
                transcript.closing(scenarios[0].check_once(), monotonic() - began)
            if sys.stdin.isatty() and sys.stdout.isatty():
                # It takes a tenth of a second to import, which only a person waits for.
                from demo.chat import COMMANDS, Chat  # noqa: PLC0415

                self.chatting = True
                transcript.prompt(page, stack.wiring.console, COMMANDS, stack.wiring.redis_url)
                await Chat(stack, scenarios[0], transcript).run()
        finally:
            for task in (watching, saves):
                task.cancel()
            for outcome in await asyncio.gather(watching, saves, return_exceptions=True):
                if isinstance(outcome, Exception):
                    raise outcome


async def demo() -> int:
    """Run the demo in a folder of its own and leave nothing behind; return the exit code."""
    plan = load_plan(Path(SERVICES))
    transcript = Transcript()
    with tempfile.TemporaryDirectory(prefix="herald-demo-") as name:
        this = Demo(Wiring.make(plan, Path.cwd(), Path(name)), transcript)
        running = asyncio.create_task(this.run())
        caught: list[int] = []
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(signum, _end, running, caught, signum)
        try:
            await running
        except StepFailedError as failed:
            transcript.failure(failed)
            return os.EX_UNAVAILABLE
        except asyncio.CancelledError:
            return os.EX_OK if this.chatting else 128 + caught[0]
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await this.stack.stop()
        return os.EX_UNAVAILABLE if this.stack.failed and not this.chatting else os.EX_OK


def _end(running: asyncio.Task[None], caught: list[int], signum: int) -> None:
    """Remember the first signal and end the run; a second one changes nothing."""
    caught.append(signum)
    if len(caught) == 1:
        running.cancel()


def main() -> None:
    """Run the demo as a process."""
    try:
        code = asyncio.run(demo())
    except InputError as error:
        print(error, file=sys.stderr)
        code = error.exit_code
    raise SystemExit(code)


if __name__ == "__main__":
    main()
