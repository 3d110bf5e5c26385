"""A connection of the blocking client: a socket, the core, and deadlines."""

import os
import time
from collections import deque
from collections.abc import Generator, Iterable
from typing import Any

from kakuri_tcp.blocking import Connection

from kakuri_http._errors import (
    ClientError,
    ConnectionBroken,
    HTTPError,
    RemoteProtocolError,
    RequestTimeout,
)
from kakuri_http._limits import DEFAULT_TIMEOUTS, IDLE_SECONDS, Limits, Timeouts
from kakuri_http._messages import ReceivedResponse, Request, piece_of
from kakuri_http.client._requests import (
    CONTINUE,
    CONTINUE_WAIT,
    Content,
    connection_closed,
    request_timeout,
    response_fault,
)
from kakuri_http.core._client import ClientConnection, ClientEvent
from kakuri_http.core._heads import NO_BODY_LIMIT
from kakuri_http.core._states import (
    END_OF_MESSAGE,
    NEED_DATA,
    ConnectionClosed,
    Data,
    EndOfMessage,
    InterimResponse,
    State,
)

_SEND_SIZE = 1 << 18  # bytes between two checks for an early response
_ONE_WRITE = 1 << 14  # bytes that are accepted at once while the send buffer is empty
_SUCCESS = range(200, 300)
_END: Any = object()


class BlockingConnection:
    """One connection and its core; one exchange at a time."""

    def __init__(self, connection: Connection, limits: Limits) -> None:
        self._connection = connection
        self._core = ClientConnection(limits)
        self._timeouts = DEFAULT_TIMEOUTS
        self._deadline: float | None = None
        self._idle_since = 0.0
        self._is_cut_short = False  # a request was not sent to its end, so no other may follow
        self._early: deque[ClientEvent] = deque()  # received while the request was being sent
        self._early_bytes = 0  # of content in these events
        self._stream_buffer = self._max_early_bytes = limits.stream_buffer
        self._process = os.getpid()

    @property
    def is_reusable(self) -> bool:
        """Whether another request may be sent."""
        return self._core.is_reusable and not self._is_cut_short

    def mark_idle(self) -> None:
        """Start the idle time of the connection."""
        self._idle_since = time.monotonic()

    @property
    def has_expired(self) -> bool:
        """Whether the connection has been idle for so long that the server may close it."""
        return time.monotonic() - self._idle_since > IDLE_SECONDS

    def is_fresh(self) -> bool:
        """Return whether an idle connection can be reused: not expired, and nothing received.

        After a fork, only the process that opened the connection may use it; otherwise either
        process could receive the other's response.
        """
        if self.has_expired or os.getpid() != self._process:
            return False
        try:
            return self._connection.receive_available() is None  # else unsolicited, or the end
        except OSError:
            return False

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def start(
        self,
        request: Request,
        body: Content,
        timeouts: Timeouts,
        *,
        deadline: float | None,
        body_limit: int | None,
    ) -> ReceivedResponse:
        """Send a request and return the head of its response.

        Args:
            request: The head.
            body: Its content.
            timeouts: Timeouts for this request.
            deadline: When the response has to be complete, by the monotonic clock.
            body_limit: Largest content of the response in bytes; None for no limit.

        Raises:
            ConnectionBroken: The connection closed.
            RequestTimeout: The server did not read, or did not respond, in time.
            RemoteProtocolError: The response is not valid HTTP/1.1.
        """
        self._timeouts, self._deadline = timeouts, deadline
        self._core.body_limit = NO_BODY_LIMIT if body_limit is None else body_limit
        self._max_early_bytes = self._stream_buffer if body_limit is None else body_limit
        self._early.clear()  # events of an earlier response that the caller did not read to its end
        self._early_bytes = 0
        is_head_sent = self._send(self._core.send(request), is_first=True)
        has_content = is_head_sent and self._core.request_state is State.BODY
        if has_content and (not request.expects_continue or self._wait_for_continue()):
            self._send_content(body)
        return self._read_head()

    def next_event(self) -> ClientEvent:
        """Wait for the next event of the response, at most for `Timeouts.read`, and return it."""
        return self._next_event(self._timeouts.read, time.monotonic())

    def _next_event(self, wait: float | None, began: float) -> ClientEvent:
        """Return the next event; raise RequestTimeout `wait` seconds after `began`."""
        if self._early:
            return self._early.popleft()
        peer = self._connection.peer
        while (event := self._parsed_event()) is NEED_DATA:
            self._set_timeout(None if wait is None else began + wait - time.monotonic())
            try:
                data = self._connection.receive()
            except TimeoutError as error:
                raise self._timeout(wait, "read") from error
            except OSError as error:
                reason = error.strerror or error
                raise ConnectionBroken(f"{peer} did not complete its response: {reason}") from error
            if data:
                self._core.receive_data(data)
            else:
                self._core.receive_eof()
        if isinstance(event, ConnectionClosed):
            raise connection_closed(peer)
        return event

    def _parsed_event(self) -> ClientEvent:
        try:
            return self._core.next_event()
        except RemoteProtocolError as error:
            fault = response_fault(error, self._connection.peer)
            raise fault from fault.__cause__

    def _read_head(self) -> ReceivedResponse:
        began = time.monotonic()
        while True:
            event = self._next_event(self._timeouts.read, began)
            if isinstance(event, ReceivedResponse):
                return event

    def _wait_for_continue(self) -> bool:
        """Wait for 100 (Continue); return False if the final response arrived first."""
        began = time.monotonic()
        try:
            while isinstance(event := self._next_event(CONTINUE_WAIT, began), InterimResponse):
                if event.status == CONTINUE:
                    return True
        except RequestTimeout as error:
            if error.phase == "total":
                raise
            return True  # RFC 9110 10.1.1: a client must not wait indefinitely
        self._early.append(event)
        return False

    def _receive_early(self) -> bool:
        """Receive data while the request is being sent; return whether to continue sending.

        A 2xx response may depend on the rest of the content, so its events are kept until that is
        sent. After any other response, or a complete one, the server does not need the rest.
        """
        early = self._early
        while self._early_bytes <= self._max_early_bytes:
            event = self._core.next_event()
            if event is NEED_DATA:
                if not self._connection.has_input():
                    break
                self._connection.set_timeout(0)
                try:
                    data = self._connection.receive()
                except OSError:
                    break  # nothing yet; or a failure, which the next write or read reports
                if not data:
                    break  # the next write fails with the reason
                self._core.receive_data(data)
            elif isinstance(event, ReceivedResponse | Data | EndOfMessage):
                early.append(event)
                if isinstance(event, Data):
                    self._early_bytes += len(event.data)
            elif not isinstance(event, InterimResponse):
                break
        if not early:
            return True
        head, last = early[0], early[-1]
        is_success = isinstance(head, ReceivedResponse) and head.status in _SUCCESS
        return is_success and not isinstance(last, EndOfMessage)

    def _send_content(self, body: Content) -> None:
        """Send the content; stop once a response makes the rest pointless."""
        if isinstance(body, bytes):
            pieces: Iterable[bytes] = (body,)
        else:
            assert isinstance(body, Iterable)  # content_of() has refused others
            pieces = body
        iterator = iter(pieces)
        try:
            # `for` would fail on an iterator that has only `__next__`.
            while (piece := next(iterator, _END)) is not _END:
                data = Data(piece_of(piece))
                if not (self._receive_early() and self._send(self._core.send(data))):
                    return
        finally:
            if isinstance(iterator, Generator):
                iterator.close()
        self._send(self._core.send(END_OF_MESSAGE))

    def _send(self, data: bytes, *, is_first: bool = False) -> bool:
        """Send bytes; return False if that failed, or an early response made the rest pointless."""
        wait = self._timeouts.write
        for start in range(0, len(data), _SEND_SIZE):
            if start and not self._receive_early():
                self._is_cut_short = True
                return False
            try:
                if is_first and len(data) <= _ONE_WRITE:
                    self._set_timeout(wait)
                    self._connection.send(data)
                else:
                    self._send_all(data[start : start + _SEND_SIZE], wait)
            except OSError as error:
                self._is_cut_short = True
                failure: ClientError
                if isinstance(error, TimeoutError):
                    failure = self._timeout(wait, "write")
                else:
                    peer, reason = self._connection.peer, error.strerror or error
                    failure = ConnectionBroken(f"{peer} did not read the request: {reason}")
                self._receive_after_failed_send(failure, error)
                return False
        return True

    def _send_all(self, data: bytes, wait: float | None) -> None:
        """Send bytes; raise TimeoutError once the server has read nothing for `wait` seconds."""
        while data:
            before = self._connection.outstanding()
            self._set_timeout(wait)
            try:
                data = data[self._connection.send_some(data) :]
            except TimeoutError:
                if not self._connection.outstanding().has_progressed_since(before):
                    raise

    def _receive_after_failed_send(self, failure: ClientError, cause: OSError) -> None:
        """Receive the response that the server has already sent, or raise the error of the send."""
        try:
            self._receive_early()
        except HTTPError:
            if self._early:
                raise  # the invalid response is a better explanation than the failed write
        if not self._early:
            raise failure from cause

    def _set_timeout(self, wait: float | None) -> None:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise self._timeout(wait, "total")  # however quickly the server sends
            wait = left if wait is None else min(wait, left)
        self._connection.set_timeout(wait)

    def _timeout(self, wait: float | None, phase: str) -> RequestTimeout:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            phase, wait = "total", self._timeouts.total
        return request_timeout(phase, self._connection.peer, wait)
