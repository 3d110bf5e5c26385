"""The thread on which a store writer writes."""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue

_log = logging.getLogger("kakuri_registry")


class WriterThread:
    """A thread that runs functions one at a time, in order.

    An exception of a function is logged, and later functions still run. A RuntimeError is ignored:
    `call_soon_threadsafe` raises it after the event loop was closed.

    A ThreadPoolExecutor would do, but it takes 50 µs of the event loop for each function: a lock,
    a future and a check for idle threads.

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
        """Run a function after those submitted before.

        Raises:
            RuntimeError: The thread was shut down.
        """
        if self._is_closed:
            raise RuntimeError("the thread of the writer was shut down")
        self._work.put(work)

    def shutdown(self) -> None:
        """Run what was submitted, and end the thread. Repeating it has no effect."""
        if not self._is_closed:
            self._is_closed = True
            self._work.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                with suppress(RuntimeError):  # the event loop was closed
                    work()
            except Exception:  # noqa: BLE001 - logged; later functions still run
                _log.exception("a function failed on the thread of the writer")
            del work  # otherwise its changes stay in memory until the next one comes
