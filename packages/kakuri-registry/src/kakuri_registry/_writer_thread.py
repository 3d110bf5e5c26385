"""The thread on which a store writer writes, and how the event loop gets the outcome of a write."""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from queue import SimpleQueue

_log = logging.getLogger("kakuri_registry")


class WriterThread:
    """Runs functions one at a time, in order, on a thread that the first of them starts.

    What a function raises is logged, and the next ones still run.

    A ThreadPoolExecutor would do, but it takes 50 µs of the event loop for each function: a lock,
    a future and a check for idle threads.

    Args:
        executor: Runs the functions instead of a thread; its owner shuts it down.
    """

    def __init__(self, executor: Executor | None = None) -> None:
        self.has_executor = executor is not None
        self._executor = executor
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def submit(self, work: Callable[[], None]) -> None:
        """Run a function after those submitted before.

        Raises:
            RuntimeError: The thread was shut down, or could not be started.
        """
        if self._executor is not None:
            self._executor.submit(work)
            return
        if self._is_closed:
            raise RuntimeError("the thread of the writer was shut down")
        if self._thread is None:
            # A daemon does not keep the process alive if its writer is never closed.
            thread = threading.Thread(target=self._run, name="kakuri-writer", daemon=True)
            thread.start()
            self._thread = thread
        self._work.put(work)

    def shutdown(self) -> None:
        """Run what was submitted, and end the thread. Repeating it has no effect."""
        self._is_closed = True
        if self._thread is not None:
            self._work.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                with suppress(RuntimeError):  # the event loop was closed
                    work()
            except Exception:  # noqa: BLE001 - logged; later functions still run
                _log.exception("a function failed on the thread of the writer")
            del work  # its changes would be kept until the next one comes


class PendingOutcome:
    """The outcome of one write, which the event loop may wait for.

    While the event loop runs, the writer's thread waits for the interpreter's lock at each of its
    system calls. If the loop waits instead, a write takes a third of the time, and both threads
    together a seventh less processor time.

    Args:
        loop: The event loop.
        end: Called on it with the error, or None, unless `wait` reports the end of the write.

    Attributes:
        error: The error of the write; None before its end, and if it succeeded.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, end: Callable[[BaseException | None], object]
    ) -> None:
        self.error: BaseException | None = None
        self._loop = loop
        self._end = end
        self._has_ended = threading.Lock()
        self._has_ended.acquire()
        # Whichever thread pops the item is first: the other one then has to handle the outcome.
        self._first = [None]

    def set(self, error: BaseException | None) -> None:
        """Set the outcome; called once, on the writer's thread."""
        self.error = error
        if self._pop():
            self._has_ended.release()
        else:
            self._loop.call_soon_threadsafe(self._end, error)

    def wait(self, seconds: float) -> bool:
        """Return whether the write ends within some seconds; if not, `end` will be called.

        Call it once, on the event loop.
        """
        if seconds and self._has_ended.acquire(timeout=seconds):
            return True
        return not self._pop()

    def _pop(self) -> bool:
        try:
            self._first.pop()
        except IndexError:
            return False
        return True
