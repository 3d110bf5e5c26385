"""A stream for log lines that never makes a daemon wait and never fails it.

Standard error may be a pipe whose reader is slow, stuck or gone. A thread of its own writes to
it; what it can't take is dropped and counted, and the count is written when it takes lines again.
"""

import threading
from collections import deque
from typing import TextIO

MAX_WAITING_LINES = 10_000
"""Lines that wait for the writer: seconds of a busy log, a few megabytes."""


class LogStream:
    """Takes lines at once and writes them behind the caller's back."""

    def __init__(self, target: TextIO, *, max_waiting: int = MAX_WAITING_LINES) -> None:
        self._target = target
        self._waiting: deque[str] = deque()
        self._max_waiting = max_waiting
        self._dropped = 0
        self._is_closed = False
        self._changed = threading.Condition()
        self._writer = threading.Thread(target=self._write_all, name="log", daemon=True)
        self._writer.start()

    def write(self, text: str) -> int:
        """Take text; drop it if too much waits already."""
        with self._changed:
            if len(self._waiting) >= self._max_waiting:
                self._dropped += 1
            else:
                self._waiting.append(text)
                self._changed.notify()
        return len(text)

    def flush(self) -> None:
        """Do nothing: the writer flushes."""

    def close(self, timeout: float) -> None:
        """Write what waits, for as long as the timeout allows, and take no more seconds."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._writer.join(timeout)

    def _write_all(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._is_closed:
                    self._changed.wait()
                if not self._waiting:
                    return
                text = "".join(self._waiting)
                self._waiting.clear()
                if self._dropped:
                    text += f"{self._dropped} pieces of the log were dropped: nobody read it\n"
                    self._dropped = 0
            try:
                self._target.write(text)
                self._target.flush()
            except (OSError, ValueError):
                continue  # the reader is gone or the stream closed: there is nobody to tell
