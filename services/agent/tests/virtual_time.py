"""An event loop with a virtual clock, which advances when nothing is ready to run.

Work for threads runs in the loop, after a delay that the test chooses. So a run depends only on its
seed, and can be repeated.
"""

import asyncio
import selectors
from collections.abc import Callable


class Stalled(BaseException):
    """Every task waits, and no timer is set: nothing will ever happen."""


class _Selector(selectors.SelectSelector):
    """A selector that advances the clock instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout=None):
        if timeout is None:
            raise Stalled
        self.now += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time; `thread_delay` returns how long a call to a thread takes."""

    def __init__(self, thread_delay: Callable[[], float]) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)
        self.thread_delay = thread_delay
        self.set_exception_handler(lambda *_: None)  # callbacks of killed agents may fail

    def time(self) -> float:
        return self._clock.now

    def run_in_executor(self, executor, func, *args):
        async def run():
            await asyncio.sleep(self.thread_delay())
            return func(*args)

        return self.create_task(run())


class VirtualThread:
    """An executor that runs functions in the loop, after a delay."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def submit(self, func, *args):
        self._loop.call_later(self._loop.thread_delay(), func, *args)

    def shutdown(self):
        pass
