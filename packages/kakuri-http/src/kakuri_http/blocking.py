"""The client without an event loop, over the same core: for scripts and threads of their own.

A client is for one thread. It keeps one connection to each endpoint.
"""

import ssl
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from kakuri_tcp import ClientTLS, Endpoint
from kakuri_tcp import ConnectFailed as TCPConnectFailed
from kakuri_tcp.blocking import Connection, connect

from kakuri_http._checks import check_count, checked
from kakuri_http._errors import (
    ClientError,
    ConnectionBroken,
    HTTPError,
    RequestTimeout,
    ResponseClosed,
    connect_error,
)
from kakuri_http._headers import FieldsLike, Headers
from kakuri_http._limits import (
    DEFAULT_LIMITS,
    DEFAULT_POOL_LIMITS,
    DEFAULT_TIMEOUTS,
    Limits,
    Timeouts,
)
from kakuri_http._messages import ReceivedResponse, Request
from kakuri_http._url import parse_url
from kakuri_http.client._requests import (
    ClientRequest,
    Content,
    Redirects,
    client_endpoint,
    content_of,
    make_request,
    piece_of,
)
from kakuri_http.core._client import ClientConnection, ClientEvent
from kakuri_http.core._events import (
    END_OF_MESSAGE,
    NEED_DATA,
    ConnectionClosed,
    Data,
    EndOfMessage,
    InterimResponse,
)
from kakuri_http.core._framing import NO_BODY_LIMIT, check_body_length
from kakuri_http.core._states import State

__all__ = ["BlockingClient", "BlockingStreamedResponse"]

Pieces = bytes | bytearray | memoryview | Iterable[bytes] | None

_SEND_SIZE = 1 << 18  # at a time: a server that takes that much has not stopped reading
_CONTINUE_WAIT = 1.0  # seconds; as long as curl waits


class _Link:
    """A connection with its core, and how long it may still take."""

    def __init__(self, connection: Connection, limits: Limits) -> None:
        self.connection = connection
        self.core: ClientConnection = ClientConnection(limits)
        self.deadline: float | None = None
        self.idle_since: float = 0.0
        self.is_cut_short: bool = False
        """Whether a request was not sent to its end, so that no other may follow."""

    @property
    def is_reusable(self) -> bool:
        return self.core.is_reusable and not self.is_cut_short

    def is_fresh(self) -> bool:
        """Return whether a kept connection can be used: not too old, and nothing arrived since."""
        if time.monotonic() - self.idle_since > DEFAULT_POOL_LIMITS.idle:
            return False
        self.connection.set_timeout(0)
        try:
            self.connection.receive()
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            pass
        return False  # bytes that no request asked for, or the end

    def early_response(self) -> ReceivedResponse | None:
        """Return the response if its head has arrived while the request is still being sent."""
        while True:
            event = self.core.next_event()
            if isinstance(event, ReceivedResponse):
                return event
            if event is NEED_DATA:
                if not self.connection.has_input():
                    return None
                self.connection.set_timeout(0)
                try:
                    data = self.connection.receive()
                except OSError:
                    return None  # nothing yet; or a failure, which the next write or read reports
                if not data:
                    return None  # the next write says what that means
                self.core.receive_data(data)
            elif not isinstance(event, InterimResponse):
                return None

    def next_event(self, wait: float | None, phase: str = "read") -> ClientEvent:
        while (event := self.core.next_event()) is NEED_DATA:
            self._set_timeout(wait)
            try:
                data = self.connection.receive()
            except TimeoutError as error:
                raise self._timeout(wait, phase) from error
            except OSError as error:
                raise ConnectionBroken(
                    f"{self.connection.peer} did not complete its response: {error}"
                ) from error
            if data:
                self.core.receive_data(data)
            else:
                self.core.receive_eof()
        if isinstance(event, ConnectionClosed):
            raise ConnectionBroken(
                f"{self.connection.peer} closed the connection before the response was complete"
            )
        return event

    def send(self, data: bytes, wait: float | None) -> ReceivedResponse | None:
        """Send bytes; return the response if it arrives before all of them are sent."""
        for start in range(0, len(data), _SEND_SIZE):
            if start and (early := self.early_response()) is not None:
                self.is_cut_short = True
                return early
            self._set_timeout(wait)
            try:
                self.connection.send(data[start : start + _SEND_SIZE])
            except OSError as error:
                self.is_cut_short = True
                failure: ClientError
                if isinstance(error, TimeoutError):
                    failure = self._timeout(wait, "write")
                else:
                    failure = ConnectionBroken(
                        f"{self.connection.peer} did not take the request: {error}"
                    )
                return self._response_after(failure, error)
        return None

    def _response_after(self, failure: ClientError, cause: OSError) -> ReceivedResponse:
        """Return the response that the server has sent already, or raise why sending failed."""
        try:
            early = self.early_response()
        except (HTTPError, OSError):
            early = None
        if early is None:
            raise failure from cause
        return early

    def _set_timeout(self, wait: float | None) -> None:
        if self.deadline is not None:
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise self._timeout(wait, "total")  # however quickly the server sends
            wait = left if wait is None else min(wait, left)
        self.connection.set_timeout(wait)

    def _timeout(self, wait: float | None, phase: str) -> RequestTimeout:
        if self.deadline is not None and time.monotonic() >= self.deadline:
            return RequestTimeout(
                f"the response from {self.connection.peer} was not complete in the total time",
                phase="total",
            )
        return RequestTimeout(
            f"{self.connection.peer} made no progress within {wait} s", phase=phase
        )


class BlockingStreamedResponse:
    """A response whose content is still to come: iterate over it, or `read` it."""

    def __init__(
        self, response: ReceivedResponse, link: _Link, timeouts: Timeouts, read_limit: int
    ) -> None:
        self.status: int = response.status
        self.reason: str = response.reason
        self.headers: Headers = response.headers
        self.http_version: str = response.http_version
        self.trailers: Headers | None = None
        self._link = link
        self._timeouts = timeouts
        self._read_limit = read_limit
        self._has_ended = False
        self._is_over = False

    def __iter__(self) -> Iterator[bytes]:
        while True:
            if self._is_over:
                raise ResponseClosed("the response was read after the block of its stream() ended")
            if self._has_ended:
                return
            event = self._link.next_event(self._timeouts.read)
            if isinstance(event, Data):
                yield event.data
            elif isinstance(event, EndOfMessage):
                self.trailers = event.trailers
                self._has_ended = True

    def read(self) -> bytes:
        """Return the rest of the content in one piece, bounded as `StreamedResponse.read`."""
        pieces: list[bytes] = []
        size = 0
        for piece in self:
            size += len(piece)
            check_body_length(size, self._read_limit)
            pieces.append(piece)
        return b"".join(pieces)

    def _finish(self) -> None:
        self._is_over = True

    def __repr__(self) -> str:
        return f"<BlockingStreamedResponse {self.status}>"


class BlockingClient:
    """Asks for URLs over HTTP/1.1; what `Client` promises holds here, too."""

    def __init__(
        self,
        endpoint: Endpoint | str | None = None,
        *,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        limits: Limits = DEFAULT_LIMITS,
        tls: ClientTLS | None = None,
        trusted_uids: Collection[int] = (),
    ) -> None:
        """Create a client; the arguments are those of `Client`."""
        self._endpoint = client_endpoint(endpoint)
        self._timeouts = checked(timeouts, Timeouts, "timeouts")
        self._limits = checked(limits, Limits, "limits")
        self._tls = None if tls is None else checked(tls, ClientTLS, "tls")
        self._trusted_uids = frozenset(trusted_uids)
        self._idle: dict[Endpoint, _Link] = {}

    def __repr__(self) -> str:
        return f"<BlockingClient {len(self._idle)} idle>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        while self._idle:
            self._idle.popitem()[1].connection.close()

    def request(
        self,
        method: str,
        url: str,
        *,
        body: Pieces = b"",
        headers: FieldsLike = (),
        redirects: int = 0,
    ) -> ReceivedResponse:
        """Send a request and return the response with all of its content; as `Client.request`."""
        following = Redirects(redirects, self._endpoint)
        request = ClientRequest(method, url, Headers(headers), content_of(body, is_async=False))
        deadline = self._deadline()
        while True:
            response = self._exchange(request, deadline)
            redirected = following.next_request(request, response)
            if redirected is None:
                return response
            request = redirected

    def _deadline(self) -> float | None:
        total = self._timeouts.total
        return None if total is None else time.monotonic() + total

    def _exchange(self, request: ClientRequest, deadline: float | None) -> ReceivedResponse:
        with self._open(request, deadline, self._limits.body) as (streamed, response):
            response.body = streamed.read()
            response.trailers = streamed.trailers
            return response

    @contextmanager
    def stream(
        self,
        method: str,
        url: str,
        *,
        body: Pieces = b"",
        headers: FieldsLike = (),
        body_limit: int | None = None,
    ) -> Iterator[BlockingStreamedResponse]:
        """Send a request and yield the response once its head has arrived; as `Client.stream`."""
        if body_limit is not None:
            check_count(body_limit, "body_limit")
        request = ClientRequest(method, url, Headers(headers), content_of(body, is_async=False))
        with self._open(request, self._deadline(), body_limit) as (streamed, _):
            yield streamed

    @contextmanager
    def _open(
        self, request: ClientRequest, deadline: float | None, body_limit: int | None
    ) -> Iterator[tuple[BlockingStreamedResponse, ReceivedResponse]]:
        url = parse_url(request.url, self._endpoint)
        head = make_request(request, url)
        link = self._take(url.endpoint)
        link.deadline = deadline
        link.core.body_limit = NO_BODY_LIMIT if body_limit is None else body_limit
        streamed = None
        try:
            response = self._ask(link, head, request.body)
            held = self._limits.body if body_limit is None else body_limit
            streamed = BlockingStreamedResponse(response, link, self._timeouts, held)
            yield streamed, response
        finally:
            if streamed is not None:
                streamed._finish()  # noqa: SLF001 - of this module
            if link.is_reusable and url.endpoint not in self._idle:
                link.idle_since = time.monotonic()
                self._idle[url.endpoint] = link
            else:
                link.connection.close()

    def _take(self, endpoint: Endpoint) -> _Link:
        link = self._idle.pop(endpoint, None)
        if link is not None:
            if link.is_fresh():
                return link
            link.connection.close()
        try:
            tls = self._tls if endpoint.scheme == "tls" else None
            connection = connect(
                endpoint,
                timeout=self._timeouts.connect,
                tls=tls,
                trusted_uids=self._trusted_uids,
            )
        except TCPConnectFailed as error:
            raise connect_error(error) from error
        return _Link(connection, self._limits)

    def _ask(self, link: _Link, request: Request, body: Content) -> ReceivedResponse:
        timeouts = self._timeouts
        early = link.send(link.core.send(request), timeouts.write)
        if early is None and link.core.request_state is State.BODY:
            if request.expects_continue:
                early = self._wait_for_continue(link)
            early = early or self._send_content(link, body)
        return early or self._read_head(link)

    def _send_content(self, link: _Link, body: Content) -> ReceivedResponse | None:
        """Send the content; return the response if it arrives before all of it is sent."""
        if isinstance(body, bytes):
            pieces: Iterable[bytes] = (body,)
        else:
            assert isinstance(body, Iterable)  # content_of() has seen to that
            pieces = body
        seconds = self._timeouts.write
        for piece in pieces:
            early = link.early_response() or link.send(
                link.core.send(Data(piece_of(piece))), seconds
            )
            if early is not None:
                return early
        return link.send(link.core.send(END_OF_MESSAGE), seconds)

    def _wait_for_continue(self, link: _Link) -> ReceivedResponse | None:
        try:
            event = link.next_event(_CONTINUE_WAIT)
        except RequestTimeout as error:
            if error.phase == "total":
                raise
            return None  # RFC 9110 10.1.1: not to be waited for without end
        if isinstance(event, InterimResponse):
            return None
        assert isinstance(event, ReceivedResponse)
        return event

    def _read_head(self, link: _Link) -> ReceivedResponse:
        while True:
            event = link.next_event(self._timeouts.read)
            if isinstance(event, ReceivedResponse):
                return event
