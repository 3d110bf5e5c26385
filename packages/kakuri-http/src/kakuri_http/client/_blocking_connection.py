"""A connection of the blocking client: sockets, the core, and the time that is left."""

import time
from collections.abc import Iterable

from kakuri_tcp.blocking import Connection

from kakuri_http._errors import (
    ClientError,
    ConnectionBroken,
    HTTPError,
    RemoteProtocolError,
    RequestTimeout,
)
from kakuri_http._limits import DEFAULT_TIMEOUTS, IDLE_SECONDS, Limits, Timeouts
from kakuri_http._messages import ReceivedResponse, Request
from kakuri_http.client._requests import Content, connection_closed, piece_of, response_fault
from kakuri_http.core._client import ClientConnection, ClientEvent
from kakuri_http.core._heads import NO_BODY_LIMIT
from kakuri_http.core._states import (
    END_OF_MESSAGE,
    NEED_DATA,
    ConnectionClosed,
    Data,
    InterimResponse,
    State,
)

_SEND_SIZE = 1 << 18  # at a time: a server that reads that much has not stopped reading
_CONTINUE_WAIT = 1.0  # seconds; as long as curl waits


class BlockingConnection:
    """One connection, with the core that it feeds; one exchange at a time."""

    def __init__(self, connection: Connection, limits: Limits) -> None:
        self._connection = connection
        self._core = ClientConnection(limits)
        self._timeouts = DEFAULT_TIMEOUTS
        self._deadline: float | None = None
        self._idle_since = 0.0
        self._is_cut_short = False  # a request was not sent to its end, so no other may follow

    @property
    def is_reusable(self) -> bool:
        """Whether another request may be sent."""
        return self._core.is_reusable and not self._is_cut_short

    def mark_idle(self) -> None:
        """Begin to count the time that the connection is idle."""
        self._idle_since = time.monotonic()

    def is_fresh(self) -> bool:
        """Return whether an idle connection can be used: not too old, and nothing received."""
        if time.monotonic() - self._idle_since > IDLE_SECONDS:
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
            timeouts: Of this request.
            deadline: When the response has to be complete, by the monotonic clock.
            body_limit: Largest content of the response in bytes; None for no limit.

        Raises:
            ConnectionBroken: The connection closed.
            RequestTimeout: The server did not read, or did not respond, in time.
            RemoteProtocolError: The response is not valid HTTP/1.1.
        """
        self._timeouts, self._deadline = timeouts, deadline
        self._core.body_limit = NO_BODY_LIMIT if body_limit is None else body_limit
        early = self._send(self._core.send(request))
        if early is None and self._core.request_state is State.BODY:
            if request.expects_continue:
                early = self._wait_for_continue()
            early = early or self._send_content(body)
        return early or self._read_head()

    def next_event(self) -> ClientEvent:
        """Return the next event of the response, after waiting for it at most `Timeouts.read`."""
        return self._next_event(self._timeouts.read)

    def _next_event(self, wait: float | None) -> ClientEvent:
        peer = self._connection.peer
        while (event := self._parsed_event()) is NEED_DATA:
            self._set_timeout(wait)
            try:
                data = self._connection.receive()
            except TimeoutError as error:
                raise self._timeout(wait, "read") from error
            except OSError as error:
                raise ConnectionBroken(f"{peer} did not complete its response: {error}") from error
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
        while True:
            event = self.next_event()
            if isinstance(event, ReceivedResponse):
                return event

    def _wait_for_continue(self) -> ReceivedResponse | None:
        try:
            event = self._next_event(_CONTINUE_WAIT)
        except RequestTimeout as error:
            if error.phase == "total":
                raise
            return None  # RFC 9110 10.1.1: not to be waited for without end
        if isinstance(event, InterimResponse):
            return None
        assert isinstance(event, ReceivedResponse)
        return event

    def _early_response(self) -> ReceivedResponse | None:
        """Return the response if its head has arrived while the request is still being sent."""
        while True:
            event = self._core.next_event()
            if isinstance(event, ReceivedResponse):
                return event
            if event is NEED_DATA:
                if not self._connection.has_input():
                    return None
                self._connection.set_timeout(0)
                try:
                    data = self._connection.receive()
                except OSError:
                    return None  # nothing yet; or a failure, which the next write or read reports
                if not data:
                    return None  # the next write fails with the reason
                self._core.receive_data(data)
            elif not isinstance(event, InterimResponse):
                return None

    def _send_content(self, body: Content) -> ReceivedResponse | None:
        """Send the content; return the response if it arrives before all of it is sent."""
        if isinstance(body, bytes):
            pieces: Iterable[bytes] = (body,)
        else:
            assert isinstance(body, Iterable)  # content_of() has refused others
            pieces = body
        for piece in pieces:
            early = self._early_response() or self._send(self._core.send(Data(piece_of(piece))))
            if early is not None:
                return early
        return self._send(self._core.send(END_OF_MESSAGE))

    def _send(self, data: bytes) -> ReceivedResponse | None:
        """Send bytes; return the response if it arrives before all of them are sent."""
        wait = self._timeouts.write
        for start in range(0, len(data), _SEND_SIZE):
            if start and (early := self._early_response()) is not None:
                self._is_cut_short = True
                return early
            self._set_timeout(wait)
            try:
                self._connection.send(data[start : start + _SEND_SIZE])
            except OSError as error:
                self._is_cut_short = True
                failure: ClientError
                if isinstance(error, TimeoutError):
                    failure = self._timeout(wait, "write")
                else:
                    failure = ConnectionBroken(
                        f"{self._connection.peer} did not read the request: {error}"
                    )
                return self._response_after(failure, error)
        return None

    def _response_after(self, failure: ClientError, cause: OSError) -> ReceivedResponse:
        """Return the response that the server has sent already, or raise why sending failed."""
        try:
            early = self._early_response()
        except (HTTPError, OSError):
            early = None
        if early is None:
            raise failure from cause
        return early

    def _set_timeout(self, wait: float | None) -> None:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise self._timeout(wait, "total")  # however quickly the server sends
            wait = left if wait is None else min(wait, left)
        self._connection.set_timeout(wait)

    def _timeout(self, wait: float | None, phase: str) -> RequestTimeout:
        peer = self._connection.peer
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return RequestTimeout(
                f"the response from {peer} was not complete in the total time", phase="total"
            )
        return RequestTimeout(f"{peer} made no progress within {wait} s", phase=phase)
