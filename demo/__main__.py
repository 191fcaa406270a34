"""`python -m demo`: run the stack, print the transcript, at a terminal stay as a chat prompt."""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from pathlib import Path
from time import monotonic

from demo.processes import Processes
from demo.scenario import PROMPT, Stack, StepFailedError
from demo.transcript import Transcript
from demo.wiring import Wiring
from infra.stack import InputError, load_plan

SERVICES = Path("services.yml")


async def run(transcript: Transcript, stack: Stack) -> None:
    """Start the stack, hold the conversation, chat on at a terminal.

    Raises:
        StepFailedError: something did not happen within its time.
    """
    began = monotonic()
    transcript.opening("one stack, no token, no Docker; starting …")
    await stack.start()
    names = [part.name for part in stack.wiring.plan.infrastructure if part.type == "redis"]
    names += [service.name for service in stack.wiring.plan.running("dev", ["sim"])]
    transcript.up(names, monotonic() - began)
    for text in PROMPT:
        transcript.exchange(await stack.say(text))
    commands = sum(text.startswith("/command") for text in PROMPT)
    await stack.check_once(commands)
    transcript.closing(commands, monotonic() - began)
    if sys.stdin.isatty() and sys.stdout.isatty():
        await chat(transcript, stack)


async def chat(transcript: Transcript, stack: Stack) -> None:
    """Let a person talk to the bot until end of input."""
    stack.chatting = True
    transcript.prompt(stack.wiring.url("telegram_sim"))
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop.add_reader(sys.stdin.fileno(), lambda: lines.put_nowait(sys.stdin.readline()))
    try:
        while True:
            transcript.ask()
            line = await lines.get()
            if not line:
                return
            if line.strip():
                try:
                    transcript.exchange(await stack.say(line.strip()), typed=True)
                except StepFailedError as failed:
                    transcript.failure(failed)
    finally:
        loop.remove_reader(sys.stdin.fileno())


async def demo() -> int:
    """Run the demo in a folder of its own and leave nothing behind; return the exit code."""
    plan = load_plan(SERVICES)
    transcript = Transcript()
    with tempfile.TemporaryDirectory(prefix="herald-demo-") as name:
        folder = Path(name)
        stack = Stack(Wiring.make(plan, folder), Processes(folder))
        running = asyncio.create_task(run(transcript, stack))
        caught: list[int] = []
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(signum, _end, running, caught, signum)
        try:
            await running
        except StepFailedError as failed:
            transcript.failure(failed)
            return os.EX_UNAVAILABLE
        except asyncio.CancelledError:
            return os.EX_OK if stack.chatting else 128 + caught[0]
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await stack.stop()
    return os.EX_OK


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
        code = os.EX_DATAERR
    raise SystemExit(code)


if __name__ == "__main__":
    main()
