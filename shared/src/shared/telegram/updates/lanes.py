"""One user's updates are handled one after the other, different users' side by side."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from shared.generated.events import TryLaterError

Work = Callable[[], Awaitable[None]]


class Lanes:
    """A lane for each sender: what is put into it is done in that order, one at a time.

    Lanes start in the order in which their first work was put, so that handlers which publish
    before they wait for anything else keep that order in the stream.
    """

    def __init__(self) -> None:
        self._lanes: dict[int, deque[Work]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def put(self, lane: int | None, work: Work) -> None:
        """Do some work, which raises nothing, as soon as its lane is free; None is always free."""
        waiting = None if lane is None else self._lanes.get(lane)
        if waiting is not None:
            waiting.append(work)
            return
        waiting = deque((work,))
        if lane is not None:
            self._lanes[lane] = waiting
        task = asyncio.create_task(self._drive(lane, waiting), name=f"lane {lane}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def length(self, lane: int | None) -> int:
        """Return how much is under way or waits in a lane."""
        return 0 if lane is None else len(self._lanes.get(lane, ()))

    async def run(self, lane: int | None, work: Work) -> None:
        """Do some work when its lane is free, and return when it is done; raises what it raises.

        Raises:
            TryLaterError: the lanes were closed before it was done.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def report() -> None:
            if done.cancelled():
                return  # nobody waits for it any more
            try:
                await work()
            except asyncio.CancelledError:
                _fail(done, TryLaterError("the bot stops"))
                raise
            except Exception as error:  # noqa: BLE001 — it is whoever waits who has to see it
                _fail(done, error)
            else:
                if not done.done():
                    done.set_result(None)

        self.put(lane, report)
        await done

    async def close(self) -> None:
        """Give up whatever is under way or waits."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _drive(self, lane: int | None, waiting: deque[Work]) -> None:
        """Do what waits in a lane until nothing does."""
        try:
            while waiting:
                await waiting[0]()
                waiting.popleft()
        finally:
            if lane is not None:
                del self._lanes[lane]


def _fail(waiting: asyncio.Future[None], error: Exception) -> None:
    if not waiting.done():
        waiting.set_exception(error)
