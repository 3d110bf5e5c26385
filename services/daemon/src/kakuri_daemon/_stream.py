"""A stream for log lines that neither blocks nor fails.

Standard error may be a pipe whose reader is slow, stuck or closed, or a file on a full disk. A
separate thread writes to it. Lines that it can't write are dropped and counted, and the count is
written when lines can be written again. After each write the thread pauses for a moment, so that
the lines of a busy log share one write and one wake-up: waking a thread costs far more than
rendering a line. Most lines are rendered in batches, which halves their cost.

The thread writes to the descriptor instead of `sys.stderr`: a Python stream keeps data that it
could not write, and fails the interpreter's exit with it (status 120); a thread that is stuck in
one holds a lock that the exit needs.
"""

import os
import select
import stat
import threading
from collections import deque
from collections.abc import Callable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any, ClassVar, TypeAlias

MAX_WAITING_LINES = 10_000
"""Queued lines: seconds of a busy log, a few megabytes."""

PAUSE_SECONDS = 0.05
"""Seconds that the writer pauses after a write: short for a reader, long enough for many lines to
share one. Each write wakes the thread seven times, mostly for the interpreter's lock."""

RENDER_BATCH = 64
"""Number of queued lines that are rendered at once, in a tenth of a millisecond."""

MAX_REASON_LENGTH = 500
"""Maximum length of a rendering error's text, in characters before escaping."""

FILE_PIECE_SIZE = 1_048_576
"""Bytes that are written to a file at once."""

TOO_SLOW = "the reader is too slow"
"""Why lines were dropped, unless a write failed."""


_Renderer: TypeAlias = Callable[[list[Any]], list[str]]
"""A function that returns the lines of items, with their line feeds."""

_renderer_of = itemgetter(0)


class LogStream:
    """A text stream whose `write` returns at once; a separate thread writes.

    Attributes:
        dropped_by_process: Lines that all streams of this process have dropped.
    """

    dropped_by_process: ClassVar[int] = 0

    def __init__(self, descriptor: int, *, max_waiting: int = MAX_WAITING_LINES) -> None:
        self._descriptor = descriptor
        self._piece_size = _piece_size(descriptor)
        self._waiting: deque[str] = deque()
        self._later: deque[tuple[_Renderer, Any]] = deque()  # functions, and items for them
        self._is_rendering = False  # whether lines of items are not yet queued, but not in `_later`
        self._max_waiting = max_waiting
        self._dropped = 0
        self._reason = TOO_SLOW  # why the latest lines were dropped
        self._is_line_cut = False  # whether the last write ended within a line
        self._closed = threading.Event()
        self._changed = threading.Condition()
        self._is_idle = False  # whether the writer waits, or is about to
        self._writer = threading.Thread(target=self._write_all, name="log", daemon=True)
        self._writer.start()

    def write(self, text: str) -> int:
        """Queue text; drop it if the queue is full."""
        if self._later or self._is_rendering:
            self._render()  # or wait for the thread that renders, so that `text` comes after
        self._queue(text)
        self._wake()
        return len(text)

    def write_later(self, render: _Renderer, item: object) -> None:
        """Queue the line of an item, to be rendered together with those of other items.

        Args:
            render: Returns the lines of items, with their line feeds. It may run in any thread, at
                the latest before the next `write` returns. If it raises for an item, a line that
                reports this takes the place of its line.
            item: The item.
        """
        later = self._later
        later.append((render, item))
        if len(later) >= RENDER_BATCH:
            self._render()
        if self._is_idle:
            self._wake()

    def _render(self) -> None:
        later, waiting = self._later, self._waiting
        with self._changed:  # so that threads don't change the order
            if self._is_rendering:
                return  # this thread renders already: a renderer logs a line
            self._is_rendering = True
            try:
                while later:
                    items = [later.popleft() for _ in range(len(later))]
                    for render, group in groupby(items, _renderer_of):
                        lines = _rendered(render, [item for _, item in group])
                        if len(waiting) + len(lines) <= self._max_waiting:
                            waiting.extend(lines)
                        else:
                            for line in lines:
                                self._queue(line)
            finally:
                self._is_rendering = False

    def _queue(self, text: str) -> None:
        if len(self._waiting) < self._max_waiting:
            self._waiting.append(text)
            return
        with self._changed:
            self._dropped += 1
            LogStream.dropped_by_process += 1

    def _wake(self) -> None:
        # Without the lock, in this order: the writer first sets the flag, then checks the queues.
        if self._is_idle:
            with self._changed:
                self._changed.notify()

    def flush(self) -> None:
        """Do nothing: the writer flushes."""

    def close(self, timeout: float) -> None:
        """Write the queued text, for at most `timeout` seconds."""
        with self._changed:
            self._closed.set()
            self._changed.notify()
        self._writer.join(timeout)

    def _write_all(self) -> None:
        waiting = self._waiting
        while True:
            with self._changed:
                self._is_idle = True
                while not waiting and not self._later and not self._closed.is_set():
                    self._changed.wait()
                self._is_idle = False
                self._render()
                if not waiting:
                    return
                dropped, self._dropped = self._dropped, 0
                reason, self._reason = self._reason, TOO_SLOW
            # Without the lock, so that the event loop does not wait while thousands of lines are
            # joined.
            text = "".join([waiting.popleft() for _ in range(len(waiting))])
            if dropped:
                text += f"{dropped} log lines were dropped: {reason}\n"
            lost = self._write(text.encode("utf-8", "backslashreplace"))
            if lost:
                lost -= dropped > 0  # the report itself
                with self._changed:
                    self._dropped += dropped + lost
                    LogStream.dropped_by_process += lost
            self._closed.wait(PAUSE_SECONDS)

    def _write(self, lines: bytes) -> int:
        """Write lines; return how many could not be written completely."""
        written = 0
        try:
            if self._is_line_cut:
                self._write_some(b"\n")
                self._is_line_cut = False
            for piece in _pieces(lines, self._piece_size):
                end = written + len(piece)
                while written < end:
                    written += self._write_some(piece[written - end :])
        except OSError as error:  # the reader has closed the pipe, or the disk is full
            self._reason = error.strerror or str(error)
            if written:
                self._is_line_cut = lines[written - 1 : written] != b"\n"
        return lines.count(b"\n", written)

    def _write_some(self, data: bytes) -> int:
        while True:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:  # another process made the shared pipe or terminal non-blocking
                select.select([], [self._descriptor], [])


def _rendered(render: _Renderer, items: list[Any]) -> list[str]:
    """Return the lines of items, with a report in place of each that can't be rendered."""
    try:
        return render(items)
    except Exception as error:  # noqa: BLE001 - reported; the other lines follow
        if len(items) == 1:
            return [_failure(error)]
        return [line for item in items for line in _rendered(render, [item])]


def _failure(error: Exception) -> str:
    """Return a line that reports why another line could not be rendered."""
    from traceback import format_exception_only  # noqa: PLC0415 (only a fault needs it)

    reason = "".join(format_exception_only(error)).strip()[:MAX_REASON_LENGTH]
    return f"a log line could not be rendered: {reason.encode('unicode_escape').decode()}\n"


def _piece_size(descriptor: int) -> int:
    """Return how many bytes of several lines are written at once."""
    try:
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
    except OSError:  # it is closed
        is_file = False
    # Each write gives up the interpreter's lock and takes it back from the event loop.
    return FILE_PIECE_SIZE if is_file else select.PIPE_BUF


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    """Split text at line ends, into pieces of at most `size` bytes or one longer line each.

    A pipe writes pieces of PIPE_BUF atomically (pipe(7)), and a file those of any size if the
    processes inherited it or opened it to append (write(2)). So processes that share one don't
    write into each other's lines.
    """
    start = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + size) + 1
        if end == 0:
            end = data.find(b"\n", start) + 1 or len(data)
        yield data[start:end]
        start = end
