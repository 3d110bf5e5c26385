"""An event loop whose clock moves only when nothing else can happen: hours pass in no time.

What would run in a thread runs in the loop, after a delay that the test chooses. So a run depends
on its seed alone, and happens again the same way.
"""

import asyncio
import selectors
from collections.abc import Callable


class Stalled(BaseException):
    """Everybody waits, and nothing will ever happen."""


class _Selector(selectors.SelectSelector):
    """Instead of waiting, it moves the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout=None):
        if timeout is None:
            raise Stalled
        self.now += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """`thread_delay` gives how long each call to a thread takes, in seconds."""

    def __init__(self, thread_delay: Callable[[], float]) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)
        self.thread_delay = thread_delay
        self.set_exception_handler(lambda *_: None)  # what a killed agent leaves behind

    def time(self) -> float:
        return self._clock.now

    def run_in_executor(self, executor, func, *args):
        async def run():
            await asyncio.sleep(self.thread_delay())
            return func(*args)

        return self.create_task(run())


class VirtualThread:
    """Runs what is submitted in the loop, after a delay."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def submit(self, func, *args):
        self._loop.call_later(self._loop.thread_delay(), func, *args)

    def shutdown(self):
        pass
