"""A workload in the foreground: progress, output, Ctrl-C, and its exit code.

Threads follow the state and both streams of output; the main thread alone prints, and handles
signals, so a signal never interrupts a request.
"""

import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TextIO

from kakuri._client import API, path_of
from kakuri._documents import end_text, has_ended, receipt_text
from kakuri._exits import CommandError, Exit, NotFound, Unreachable
from kakuri._invocation import Invocation
from kakuri._lifecycle import post
from kakuri._log_stream import follow_text
from kakuri._nodes import first_node, warn_if_simulated
from kakuri._progress import Progress
from kakuri._remove import delete
from kakuri._schemas import BAD_RESPONSE
from kakuri._streams import discard_output
from kakuri._text import printable, seconds_of, span
from kakuri._threads import start_thread
from kakuri._tombstones import removed_document
from kakuri._wait import own_exit_code
from kakuri._watch import changes

MAX_WAITING = 1000
"""Maximum pieces of output that wait to be printed."""

DRAIN_SECONDS = 10.0
"""Seconds without output, after the workload has ended, after which the output is reported as
incomplete. An outage of the control plane does not count."""

_TICK_SECONDS = 0.5
"""Seconds between two checks of the deadline; on a terminal, progress is redrawn as often."""

_RETRY_SECONDS = 1.0
"""Seconds between two attempts to stop the workload during an outage."""

_INTERRUPTS_TO_KILL, _INTERRUPTS_TO_LEAVE = 2, 3


class Foreground:
    """Follows one workload to its end."""

    def __init__(
        self,
        invocation: Invocation,
        api: API,
        document: dict[str, Any],
        *,
        grace: float,
        timeout: float | None,
        remove_at_end: bool,
    ) -> None:
        """Prepare to follow a workload that was just submitted.

        Args:
            invocation: Where progress is printed.
            api: The control plane.
            document: The workload.
            grace: Seconds that the workload has to end by itself after the first Ctrl-C.
            timeout: Seconds after which it is stopped.
            remove_at_end: Whether to remove it at the end.
        """
        self._invocation, self._api = invocation, api
        self._id: str = document["id"]
        self._image: str = document["image"]
        self._grace, self._remove_at_end = grace, remove_at_end
        self._grace_of_stop = grace
        self._timeout, self._submitted_at = timeout, time.monotonic()
        self._progress = Progress(invocation, self._id)
        # A signal handler also puts into it: SimpleQueue is reentrant, Queue is not.
        self._queue: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._room = threading.Semaphore(MAX_WAITING)
        self._has_ended = threading.Event()  # or it is no longer followed
        self._interrupts = 0
        self._open_streams = 0
        self._has_output = False
        self._has_timed_out = False
        self._is_output_closed = False
        self._last: dict[str, Any] | None = None

    def follow(self) -> int:
        """Follow the workload, and return its exit code; or TIMEOUT, NOT_RUN, INTERRUPTED.

        Raises:
            CommandError: The control plane was lost for too long, or a thread can't be started.
        """
        try:
            warn_if_simulated(self._invocation, first_node(self._api))
        except KeyboardInterrupt:  # its handler is not installed yet
            self._queue.put(("signal", signal.SIGINT))
        with self._handled_signals():
            self._start(self._read_changes)
            if self._timeout is not None:
                self._start(self._stop_after, self._timeout)
            try:
                self._follow_to_end()
                self._drain()
            finally:
                self._has_ended.set()
        return self._finish()

    def _follow_to_end(self) -> None:
        while True:
            kind, item = self._next()
            if kind == "state":
                self._last = item if item is not None else removed_document(self._api, self._id)
                if item is None or self._show_state(item):
                    return
            else:
                self._handle(kind, item)

    def _show_state(self, document: dict[str, Any]) -> bool:
        """Show a state; return whether the workload has ended for good."""
        state, reason = document["state"], document.get("reason", "")
        if state == "running" or document.get("started_at"):
            self._open_output()
        if has_ended(document):
            return True
        if state == "running" and not reason:
            where = f" at {document['address']}" if document.get("address") else ""
            self._progress.change(f"running{where}")
        elif reason == "Pulling":
            self._progress.change(f"pulling {printable(self._image)}")
            received = document.get("pulled_bytes")
            self._progress.detail(f"about {received / 1e6:.1f} MB" if received else "")
        else:
            message = document.get("message")
            text = f"{state}  {printable(reason)}" if reason else state
            self._progress.change(f"{text}: {printable(message)}" if message else text)
        return False

    def _open_output(self) -> None:
        if not self._has_output:
            self._has_output = True
            for stream in ("stdout", "stderr"):
                self._open_streams += 1
                self._start(self._read_output, stream)

    def _handle(self, kind: str, item: Any) -> None:
        if kind in ("stdout", "stderr"):
            self._room.release()
            self._print(sys.stdout if kind == "stdout" else sys.stderr, item)
        elif kind == "end":
            self._open_streams -= 1
            if item is not None:
                self._progress.line(f"output can't be read: {item.message}")
        elif kind == "signal":
            self._handle_signal(item)
        elif kind == "note":
            self._progress.line(item)
        elif kind == "error":
            if isinstance(item, CommandError):
                self._report_detached()
            raise item

    def _print(self, stream: TextIO, output: bytes) -> None:
        """Print output. If its reader closed the pipe, stop the workload.

        On any other error, leave it running and raise CommandError.
        """
        if self._is_output_closed:
            return
        self._progress.clear()
        try:
            stream.flush()
            stream.buffer.write(output)
            stream.buffer.flush()
        except OSError as error:
            discard_output(stream.fileno())
            if not isinstance(error, BrokenPipeError):
                self._report_detached()
                message = f"the output can't be written: {error.strerror}"
                raise CommandError(message, Exit.NOT_RUN, code="output") from error
            self._is_output_closed = True
            if not self._interrupts and not (self._last and has_ended(self._last)):
                self._handle_signal(signal.SIGPIPE)

    def _drain(self) -> None:
        """Print the output that the workload wrote before it ended.

        Raises:
            CommandError: The output has not ended, and none arrived for DRAIN_SECONDS.
        """
        if self._last is not None and self._last.get("started_at"):
            self._open_output()  # it ended before it was seen running
        deadline = time.monotonic() + DRAIN_SECONDS
        while self._open_streams and not self._is_output_closed:
            if time.monotonic() >= deadline:
                self._progress.clear()
                message = (
                    f"{self._id}: the output is incomplete, nothing arrived for "
                    f"{span(DRAIN_SECONDS)}; to read the rest: kakuri logs {self._id}"
                )
                raise CommandError(message, Exit.NOT_RUN, code="incomplete")
            kind, item = self._next()
            if kind == "signal":
                self._leave()
            if is_new := kind not in ("state", "tick"):
                self._handle(kind, item)
            if is_new or self._invocation.lost_count:
                deadline = time.monotonic() + DRAIN_SECONDS

    def _next(self) -> tuple[str, Any]:
        """Return what happened next; or "tick" if nothing happens for _TICK_SECONDS."""
        try:
            return self._queue.get(timeout=_TICK_SECONDS)
        except queue.Empty:
            self._progress.redraw()
            return "tick", None

    def _handle_signal(self, number: int) -> None:
        self._interrupts += 1
        if self._interrupts >= _INTERRUPTS_TO_LEAVE:
            self._leave()
        elif self._interrupts == _INTERRUPTS_TO_KILL:
            self._progress.line("killing it; Ctrl-C again leaves it as it is")
            self._grace_of_stop = 0.0
            self._start(self._stop)
        else:
            why = "" if number == signal.SIGINT else f" ({signal.Signals(number).name})"
            self._progress.line(
                f"stopping{why}, with {span(self._grace)} to end by itself; Ctrl-C again kills it"
            )
            self._start(self._stop)

    def _leave(self) -> NoReturn:
        self._report_detached()
        raise KeyboardInterrupt

    def _report_detached(self) -> None:
        self._progress.line(f"left as it is; to follow it: kakuri logs -f {self._id}; "
                            f"to remove it: kakuri rm {self._id}")  # fmt: skip

    def _finish(self) -> int:
        document = self._last
        if document is None:
            self._progress.line("was removed by another client, and nothing is kept of it")
            return Exit.NOT_RUN
        text = f"ended: {end_text(document)}"
        if document.get("started_at") and document.get("ended_at"):
            seconds = seconds_of(document["ended_at"]) - seconds_of(document["started_at"])
            text += f" after {span(max(0.0, seconds))}"
        if document.get("message"):
            text += f": {printable(document['message'])}"
        if self._remove_at_end and "removed_at" not in document:
            text += f"; {self._remove()}"
        self._progress.line(text)
        if self._has_timed_out:
            return Exit.TIMEOUT
        if self._is_output_closed:
            return Exit.CLOSED_PIPE
        if document.get("reason") in ("ImagePullFailed", "StartError", "RuntimeUnavailable"):
            return Exit.NOT_RUN
        return own_exit_code(document)

    def _remove(self) -> str:
        try:
            return receipt_text(delete(self._api, self._id, grace=self._grace).document)
        except NotFound:
            return "removed"
        except CommandError as error:
            return f"it could not be removed: {error.message}"

    # The following methods run in threads, each with its own connection.

    def _start(self, target: Any, *arguments: Any) -> None:
        try:
            start_thread(target, *arguments)
        except CommandError as error:
            self._report_detached()
            message = f"{self._id} can't be followed: {error.message}"
            raise CommandError(message, Exit.NOT_RUN, code="not_followed") from error

    def _read_changes(self) -> None:
        try:
            with self._api.clone() as api:
                for document in changes(self._invocation, api, self._id, is_known=True):
                    is_last = document is None or has_ended(document)
                    if is_last:  # its timeout is over, even if much output waits to be printed
                        self._has_ended.set()
                    self._queue.put(("state", document))
                    if is_last:
                        return
        except NotFound:
            self._has_ended.set()
            self._queue.put(("state", None))
        except BaseException as error:  # noqa: BLE001 (it is raised in the main thread)
            self._queue.put(("error", error))

    def _read_output(self, stream: str) -> None:
        params = [("stream", stream), ("follow", "true")]
        try:
            with self._api.clone() as api:
                for text in follow_text(self._invocation, api, self._id, params, is_known=True):
                    self._room.acquire()
                    self._queue.put((stream, text))
            self._queue.put(("end", None))
        except CommandError as error:
            self._queue.put(("end", error))
        except BaseException as error:  # noqa: BLE001 (it is raised in the main thread)
            self._queue.put(("error", error))

    def _stop_after(self, timeout: float) -> None:
        """Stop the workload after its timeout.

        This works even while the main thread is blocked because the reader of the output is slow.
        """
        if self._has_ended.wait(max(0.0, self._submitted_at + timeout - time.monotonic())):
            return

        def is_running(api: API) -> bool:
            if not self._has_timed_out:
                # It may have ended during an outage.
                if has_ended(api.get(path_of(self._id)).document):
                    return False
                self._has_timed_out = True
                self._queue.put(("note", f"has not ended after {span(timeout)}: stopping it"))
            return True

        self._stop(is_running)

    def _stop(self, condition: Callable[[API], bool] | None = None) -> None:
        """Stop the workload, if the condition holds, and try again during an outage."""
        is_reported = False
        with self._reported_errors(), self._api.clone() as api:
            while not self._has_ended.is_set():  # also set once the outage has lasted too long
                try:
                    if condition is None or condition(api):
                        post(api, self._id, "stop", grace=self._grace_of_stop)
                except Unreachable as error:
                    if error.code == BAD_RESPONSE:  # not an outage
                        raise
                    if not is_reported:
                        is_reported = True
                        text = f"it could not be stopped, trying again: {error.message}"
                        self._queue.put(("note", text))
                    self._has_ended.wait(_RETRY_SECONDS)
                else:
                    return

    @contextmanager
    def _reported_errors(self) -> Iterator[None]:
        """Queue errors of a stop for the main thread."""
        try:
            yield
        except NotFound:
            return
        except CommandError as error:
            self._queue.put(("note", f"it could not be stopped: {error.message}"))
        except BaseException as error:  # noqa: BLE001 (it is raised in the main thread)
            self._queue.put(("error", error))

    @contextmanager
    def _handled_signals(self) -> Iterator[None]:
        def handle(number: int, _frame: object) -> None:
            self._queue.put(("signal", number))

        numbers = (signal.SIGINT, signal.SIGTERM)
        previous = {number: signal.signal(number, handle) for number in numbers}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
