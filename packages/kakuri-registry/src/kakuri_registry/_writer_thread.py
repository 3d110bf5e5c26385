"""The thread on which a store writer writes, and its reports to the event loop."""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import TypeVar

_Result = TypeVar("_Result")

_log = logging.getLogger("kakuri_registry")


class WriterThread:
    """A thread that runs functions one at a time, in order.

    An exception of a function is logged, and later functions still run.

    A ThreadPoolExecutor would work, too, but takes 50 µs of the event loop for each function: a
    lock, a future and a check for idle threads.

    Raises:
        RuntimeError: The thread can't be started.
    """

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        # A daemon thread does not keep the process alive if its writer is never closed.
        self._thread = threading.Thread(target=self._run, name="kakuri-writer", daemon=True)
        self._is_closed = False
        self._thread.start()

    def submit(self, work: Callable[[], None]) -> None:
        """Run a function after all functions submitted earlier.

        Raises:
            RuntimeError: The thread was shut down.
        """
        if self._is_closed:
            raise RuntimeError("the thread of the writer was shut down")
        self._work.put(work)

    def shutdown(self) -> None:
        """Run all submitted functions, then end the thread. Calling it again has no effect."""
        if not self._is_closed:
            self._is_closed = True
            self._work.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
            except Exception:  # noqa: BLE001 - logged; later functions still run
                _log.exception("a function failed on the thread of the writer")
            del work  # otherwise, its changes stay in memory until the next function arrives


def reporting(
    loop: asyncio.AbstractEventLoop,
    work: Callable[[], _Result],
    report: Callable[[_Result | None, BaseException | None], None],
) -> Callable[[], None]:
    """Return a function that does work on a thread, and reports the outcome on an event loop.

    Args:
        loop: The event loop. If it is closed by then, the outcome is not reported.
        work: The work.
        report: Called on the loop with the result of the work and None, or with None and the error.
    """

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - it is reported
            failure = error
        with suppress(RuntimeError):  # the loop was closed
            loop.call_soon_threadsafe(report, result, failure)

    return run
