"""The client without an event loop, over the same core: for scripts and threads of their own.

A client is for one thread. It keeps one connection to each endpoint.
"""

import ssl
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from kakuri_tcp import ClientTLS, Endpoint
from kakuri_tcp import ConnectFailed as TCPConnectFailed
from kakuri_tcp.blocking import Connection, connect

from kakuri_http._client_core import ClientConnection, ClientEvent
from kakuri_http._client_request import make_request
from kakuri_http._errors import (
    ConnectionBroken,
    HttpError,
    RequestTimeout,
    TooManyRedirects,
    connect_error,
)
from kakuri_http._events import (
    END_OF_MESSAGE,
    NEED_DATA,
    ConnectionClosed,
    Data,
    EndOfMessage,
    InterimResponse,
)
from kakuri_http._framing import NO_BODY_LIMIT, check_body_length
from kakuri_http._headers import Headers
from kakuri_http._limits import DEFAULT_LIMITS, Limits
from kakuri_http._redirects import Hop, next_hop
from kakuri_http._request import Request
from kakuri_http._response import ReceivedResponse, Response
from kakuri_http._states import State
from kakuri_http._timeouts import DEFAULT_TIMEOUTS, Timeouts
from kakuri_http._url import parse_url

__all__ = ["BlockingClient", "BlockingStreamedResponse"]

Fields = Headers | Mapping[str, str] | Iterable[tuple[str, str]]
Pieces = bytes | Iterable[bytes]

_SEND_SIZE = 1 << 18  # at a time: a server that takes that much has not stopped reading
_CONTINUE_WAIT = 1.0  # seconds; as long as curl waits


class _Link:
    """A connection with its core, and how long it may still take."""

    def __init__(self, connection: Connection, limits: Limits) -> None:
        self.connection = connection
        self.core = ClientConnection(limits)
        self.deadline: float | None = None

    def next_event(self, wait: float | None, phase: str = "read") -> ClientEvent:
        while (event := self.core.next_event()) is NEED_DATA:
            self._set_timeout(wait)
            try:
                data = self.connection.receive()
            except TimeoutError as error:
                raise self._timeout(wait, phase) from error
            except OSError as error:
                raise ConnectionBroken(f"expected an answer, got {error}") from error
            if data:
                self.core.receive_data(data)
            else:
                self.core.receive_eof()
        if isinstance(event, ConnectionClosed):
            raise ConnectionBroken("expected an answer, got the end of the connection")
        return event

    def send(self, data: bytes, wait: float | None) -> None:
        for start in range(0, len(data), _SEND_SIZE):
            self._set_timeout(wait)
            try:
                self.connection.send(data[start : start + _SEND_SIZE])
            except TimeoutError as error:
                raise self._timeout(wait, "write") from error
            except OSError as error:
                raise ConnectionBroken(f"expected to send a request, got {error}") from error

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
                "expected all of the response within the total time, got a part", phase="total"
            )
        return RequestTimeout(f"expected progress within {wait} s, got none", phase=phase)


class BlockingStreamedResponse:
    """A response whose content is still to come: iterate over it, or `read` it."""

    def __init__(
        self, response: Response, link: _Link, timeouts: Timeouts, read_limit: int
    ) -> None:
        self.status = response.status
        self.reason = response.reason or ""
        self.headers = response.headers
        self.http_version = response.http_version
        self.trailers: Headers | None = None
        self._link = link
        self._timeouts = timeouts
        self._read_limit = read_limit
        self._has_ended = False

    def __iter__(self) -> Iterator[bytes]:
        while not self._has_ended:
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
        """Make a client; the arguments are those of `Client`."""
        self._through = Endpoint.parse(endpoint) if isinstance(endpoint, str) else endpoint
        self._timeouts = timeouts
        self._limits = limits
        self._tls = tls
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
        headers: Fields = (),
        redirects: int = 0,
    ) -> Response:
        """Ask and return the response with all of its content; as `Client.request`."""
        hop = Hop(method, url, Headers(headers), body)
        followed: list[str] = []
        deadline = self._deadline()
        while True:
            response = self._exchange(hop, deadline)
            following = next_hop(hop, response, self._through) if redirects else None
            if following is None:
                return response
            if len(followed) == redirects:
                raise TooManyRedirects(
                    f"expected at most {redirects} redirects, got more", followed
                )
            followed.append(following.url)
            hop = following

    def _deadline(self) -> float | None:
        total = self._timeouts.total
        return None if total is None else time.monotonic() + total

    def _exchange(self, hop: Hop, deadline: float | None) -> Response:
        body = hop.body
        assert isinstance(body, (bytes, Iterable))
        with self._open(hop, body, deadline, self._limits.body) as streamed:
            response = ReceivedResponse(
                streamed.status, streamed.reason, streamed.headers, streamed.http_version
            )
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
        headers: Fields = (),
        body_limit: int | None = None,
    ) -> Iterator[BlockingStreamedResponse]:
        """Send a request and yield the response once its head has arrived; as `Client.stream`."""
        hop = Hop(method, url, Headers(headers), body)
        with self._open(hop, body, self._deadline(), body_limit) as streamed:
            yield streamed

    @contextmanager
    def _open(
        self, hop: Hop, body: Pieces, deadline: float | None, body_limit: int | None
    ) -> Iterator[BlockingStreamedResponse]:
        where = parse_url(hop.url, self._through)
        request = make_request(hop.method, where, hop.headers, body)
        link = self._take(where.endpoint)
        link.deadline = deadline
        link.core.body_limit = NO_BODY_LIMIT if body_limit is None else body_limit
        try:
            response = self._ask(link, request, body)
            held = self._limits.body if body_limit is None else body_limit
            yield BlockingStreamedResponse(response, link, self._timeouts, held)
        finally:
            if link.core.is_reusable and where.endpoint not in self._idle:
                self._idle[where.endpoint] = link
            else:
                link.connection.close()

    def _take(self, endpoint: Endpoint) -> _Link:
        link = self._idle.pop(endpoint, None)
        if link is not None:
            # What came since, an end most of all, means that no request may be sent on it.
            link.connection.set_timeout(0)
            try:
                link.connection.receive()
            except (BlockingIOError, TimeoutError, ssl.SSLWantReadError):
                return link
            except OSError:
                pass
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

    def _ask(self, link: _Link, request: Request, body: Pieces) -> Response:
        timeouts = self._timeouts
        link.send(link.core.send(request), timeouts.write)
        if link.core.request_state is State.BODY:
            early = self._wait_for_continue(link) if request.expects_continue else None
            if early is not None:
                return early
            try:
                for piece in (body,) if isinstance(body, bytes) else body:
                    link.send(link.core.send(Data(piece)), timeouts.write)
                link.send(link.core.send(END_OF_MESSAGE), timeouts.write)
            except ConnectionBroken as broken:
                # The server may have answered before it closed.
                try:
                    return self._read_head(link)
                except HttpError:
                    raise broken from None
        return self._read_head(link)

    def _wait_for_continue(self, link: _Link) -> Response | None:
        try:
            event = link.next_event(_CONTINUE_WAIT)
        except RequestTimeout as error:
            if error.phase == "total":
                raise
            return None  # RFC 9110 10.1.1: not to be waited for without end
        if isinstance(event, InterimResponse):
            return None
        assert isinstance(event, Response)
        return event

    def _read_head(self, link: _Link) -> Response:
        while True:
            event = link.next_event(self._timeouts.read)
            if isinstance(event, Response):
                return event
