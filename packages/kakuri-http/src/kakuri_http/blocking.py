"""The client without an event loop, over the same core: for scripts and threads.

A client keeps at most one idle connection to each endpoint, and at most 100 in all.
"""

import threading
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from kakuri_tcp import Endpoint
from kakuri_tcp.blocking import connect

from kakuri_http._errors import (
    ConnectFailed,
    ResponseClosed,
    translated_connect_errors,
)
from kakuri_http._headers import FieldsLike, Headers
from kakuri_http._limits import (
    Limits,
    Timeouts,
    check_count,
    checked,
    checked_or_default,
    checked_uids,
)
from kakuri_http._messages import ReceivedResponse
from kakuri_http._url import Params, parse_url
from kakuri_http.client._blocking_connection import BlockingConnection
from kakuri_http.client._requests import (
    ClientRequest,
    Methods,
    Redirects,
    RequestOptions,
    make_request,
    request_timeout,
)
from kakuri_http.core._heads import check_body_length
from kakuri_http.core._states import Data, EndOfMessage

if TYPE_CHECKING:
    from kakuri_tcp import ClientTLS

__all__ = ["BlockingClient", "BlockingStreamedResponse"]

_MAX_IDLE = 100
"""Maximum number of idle connections, as many as `PoolLimits` allows."""

Pieces = bytes | bytearray | memoryview | Iterable[bytes] | None


class BlockingStreamedResponse:
    """A response whose content is read as it arrives; see `StreamedResponse`."""

    def __init__(
        self, response: ReceivedResponse, connection: BlockingConnection, read_limit: int
    ) -> None:
        self.status: int = response.status
        self.reason: str = response.reason
        self.headers: Headers = response.headers
        self.http_version: str = response.http_version
        self.trailers: Headers | None = None
        self._connection: BlockingConnection | None = connection
        self._read_limit = read_limit
        self._has_ended = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        # Not a generator: after an error, a generator would end as if the content had.
        while True:
            if self._connection is None:
                raise ResponseClosed("the response was read after the block of its stream() ended")
            if self._has_ended:
                raise StopIteration
            event = self._connection.next_event()
            if isinstance(event, Data):
                return event.data
            if isinstance(event, EndOfMessage):
                self.trailers = event.trailers
                self._has_ended = True

    def read(self) -> bytes:
        """Return all content that has not been read yet, bounded as in `StreamedResponse.read`."""
        pieces: list[bytes] = []
        size = 0
        for piece in self:
            size += len(piece)
            check_body_length(size, self._read_limit)
            pieces.append(piece)
        return b"".join(pieces)

    def _detach(self) -> None:
        self._connection = None

    def __repr__(self) -> str:
        return f"<BlockingStreamedResponse {self.status}>"


class BlockingClient(Methods[Pieces, ReceivedResponse]):
    """An HTTP/1.1 client without an event loop; otherwise like `Client`.

    Threads can share a client. Concurrent requests use separate connections; afterwards, one
    connection to each endpoint is kept for later requests.

    Example:
        >>> with BlockingClient("127.0.0.1:8080") as client:
        ...     client.get("/workloads").text()
    """

    def __init__(
        self,
        endpoint: Endpoint | str | None = None,
        *,
        timeouts: Timeouts | None = None,
        limits: Limits | None = None,
        tls: "ClientTLS | None" = None,
        trusted_uids: Collection[int] | None = None,
    ) -> None:
        """Create a client; see `Client` for the arguments."""
        self._endpoint = None if endpoint is None else Endpoint.of(endpoint)
        self._timeouts = checked_or_default(timeouts, Timeouts, "timeouts")
        self._limits = checked_or_default(limits, Limits, "limits")
        self._tls = None
        if tls is not None:
            from kakuri_tcp import ClientTLS  # noqa: PLC0415 (most clients use no TLS)

            self._tls = checked(tls, ClientTLS, "tls")
        self._trusted_uids = checked_uids(trusted_uids)
        # Guards the attributes below. A signal handler may call `close` while its thread holds it.
        self._lock = threading.RLock()
        self._idle: dict[Endpoint, BlockingConnection] = {}
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<BlockingClient {len(self._idle)} idle>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close idle connections and refuse further requests; a request in progress continues."""
        with self._lock:
            self._is_closed = True
            while self._idle:
                self._idle.popitem()[1].close()

    def request(
        self,
        method: str,
        url: str,
        *,
        body: Pieces = b"",
        headers: FieldsLike = (),
        params: Params = (),
        timeouts: Timeouts | None = None,
        redirects: int = 0,
    ) -> ReceivedResponse:
        """Send a request and return the response with all of its content; see `Client.request`."""
        timeouts = self._timeouts if timeouts is None else checked(timeouts, Timeouts, "timeouts")
        following = Redirects(redirects, self._endpoint)
        request = ClientRequest.of(method, url, body, headers, params, is_async=False)
        deadline = _deadline(timeouts)
        while True:
            with self._open(request, timeouts, deadline, self._limits.body) as (streamed, response):
                response.body = streamed.read()
                response.trailers = streamed.trailers
            redirected = following.next_request(request, response)
            if redirected is None:
                return response
            request = redirected

    def _request(
        self, method: str, url: str, body: Pieces, options: RequestOptions
    ) -> ReceivedResponse:
        return self.request(method, url, body=body, **options)

    @contextmanager
    def stream(
        self,
        method: str,
        url: str,
        *,
        body: Pieces = b"",
        headers: FieldsLike = (),
        params: Params = (),
        timeouts: Timeouts | None = None,
        body_limit: int | None = None,
    ) -> Iterator[BlockingStreamedResponse]:
        """Send a request and yield the response once its head has arrived; see `Client.stream`."""
        timeouts = self._timeouts if timeouts is None else checked(timeouts, Timeouts, "timeouts")
        if body_limit is not None:
            check_count(body_limit, "body_limit")
        request = ClientRequest.of(method, url, body, headers, params, is_async=False)
        with self._open(request, timeouts, _deadline(timeouts), body_limit) as (streamed, _):
            yield streamed

    @contextmanager
    def _open(
        self,
        request: ClientRequest,
        timeouts: Timeouts,
        deadline: float | None,
        body_limit: int | None,
    ) -> Iterator[tuple[BlockingStreamedResponse, ReceivedResponse]]:
        url = parse_url(request.url, self._endpoint)
        head = make_request(request, url)
        connection = self._take(url.endpoint, timeouts, deadline)
        streamed = None
        try:
            response = connection.start(
                head, request.body, timeouts, deadline=deadline, body_limit=body_limit
            )
            held = self._limits.body if body_limit is None else body_limit
            streamed = BlockingStreamedResponse(response, connection, held)
            yield streamed, response
        finally:
            if streamed is not None:
                streamed._detach()  # noqa: SLF001 - of this module
            if not (connection.is_reusable and self._keep(url.endpoint, connection)):
                connection.close()

    def _keep(self, endpoint: Endpoint, connection: BlockingConnection) -> bool:
        """Keep a connection for the next request, and close those that were idle for too long.

        Returns:
            False if it is not needed: the client was closed or has another one to the endpoint.
        """
        with self._lock:
            if self._is_closed or endpoint in self._idle:
                return False
            connection.mark_idle()
            self._idle[endpoint] = connection
            while self._idle and (
                len(self._idle) > _MAX_IDLE or next(iter(self._idle.values())).has_expired
            ):
                self._idle.pop(next(iter(self._idle))).close()
            return True

    def _take(
        self, endpoint: Endpoint, timeouts: Timeouts, deadline: float | None
    ) -> BlockingConnection:
        with self._lock:
            if self._is_closed:
                raise ConnectFailed(f"not connected to {endpoint}: the client is closed")
            idle = self._idle.pop(endpoint, None)
        if idle is not None:
            if idle.is_fresh():
                return idle
            idle.close()
        seconds = timeouts.connect
        if deadline is not None:
            seconds = min(seconds, deadline - time.monotonic())
        try:
            with translated_connect_errors():
                connection = connect(
                    endpoint,
                    timeout=seconds,
                    tls=self._tls if endpoint.scheme == "tls" else None,
                    trusted_uids=self._trusted_uids,
                )
        except ConnectFailed as error:
            if deadline is None or time.monotonic() < deadline:
                raise
            raise request_timeout("total", endpoint, timeouts.total) from error
        return BlockingConnection(connection, self._limits)


def _deadline(timeouts: Timeouts) -> float | None:
    return None if timeouts.total is None else time.monotonic() + timeouts.total
