"""The asyncio client."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from kakuri_tcp import ClientTLS, Endpoint

from kakuri_http._checks import check_count, checked
from kakuri_http._errors import RequestTimeout
from kakuri_http._headers import FieldsLike, Headers
from kakuri_http._limits import (
    DEFAULT_LIMITS,
    DEFAULT_POOL_LIMITS,
    DEFAULT_TIMEOUTS,
    Limits,
    PoolLimits,
    Timeouts,
)
from kakuri_http._messages import ReceivedResponse
from kakuri_http._url import parse_url
from kakuri_http.client._pool import Pool
from kakuri_http.client._protocol import ClientProtocol, Exchange
from kakuri_http.client._requests import (
    Body,
    ClientRequest,
    Redirects,
    client_endpoint,
    content_of,
    make_request,
)
from kakuri_http.core._framing import NO_BODY_LIMIT, check_body_length


class StreamedResponse:
    """A response whose content is still to come: iterate over it, or `read` it.

    Its content can be read until the block of `Client.stream` ends, and no longer, even if it has
    arrived: the connection is another request's then.
    """

    def __init__(
        self,
        response: ReceivedResponse,
        connection: ClientProtocol,
        exchange: Exchange,
        read_limit: int,
    ) -> None:
        self.status: int = response.status
        self.reason: str = response.reason
        self.headers: Headers = response.headers
        self.http_version: str = response.http_version
        self._connection = connection
        self._exchange = exchange
        self._read_limit = read_limit

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._connection.pieces(self._exchange)

    @property
    def trailers(self) -> Headers | None:
        """The trailer fields; None before the end of the content."""
        content = self._exchange.content
        return content.trailers if content is not None else None

    async def read(self) -> bytes:
        """Return the rest of the content in one piece.

        It is held in memory, so it is bounded: by `body_limit` of the request where that is set,
        otherwise by the client's `Limits.body`. Iterating has no such bound.

        Raises:
            LimitExceeded: the content is larger.
            ConnectionBroken: the connection ended before the content did.
            RequestTimeout: the server sent nothing for `Timeouts.read`.
            ResponseClosed: the block has ended.

        """
        pieces: list[bytes] = []
        size = 0
        async for piece in self:
            size += len(piece)
            check_body_length(size, self._read_limit)
            pieces.append(piece)
        return b"".join(pieces)

    def __repr__(self) -> str:
        return f"<StreamedResponse {self.status}>"


class Client:
    """Asks for URLs over HTTP/1.1 and keeps connections for the next request.

    Follows no redirects unless asked, and repeats no request. TLS is verified always; `tls` says
    whom to trust. Requests that find all connections in use wait for one, first come, first served.
    A client belongs to the event loop that it is first used in.
    """

    def __init__(
        self,
        endpoint: Endpoint | str | None = None,
        *,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        pool: PoolLimits = DEFAULT_POOL_LIMITS,
        limits: Limits = DEFAULT_LIMITS,
        tls: ClientTLS | None = None,
        trusted_uids: Collection[int] = (),
    ) -> None:
        """Create a client; nothing is sent yet.

        Args:
            endpoint: where to connect whatever a URL says, as `unix:/run/x.sock`; URLs may then be
                paths alone.
            timeouts: for every request that has none of its own.
            pool: how many connections to keep.
            limits: what a server may send; only those on messages count.
            tls: whom to trust, and who to be.
            trusted_uids: users whose servers on Unix sockets are trusted besides root and the user
                of this process.

        Raises:
            EndpointError: the endpoint is not one.
            TypeError: an argument is of the wrong type.

        """
        self._endpoint = client_endpoint(endpoint)
        self._timeouts = checked(timeouts, Timeouts, "timeouts")
        self._limits = checked(limits, Limits, "limits")
        checked(pool, PoolLimits, "pool")
        if tls is not None:
            checked(tls, ClientTLS, "tls")
        self._pool = Pool(pool, limits, tls, trusted_uids)

    def __repr__(self) -> str:
        return f"<Client {self._pool!r}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        self._pool.close()
        await asyncio.sleep(0)  # the transports end in the next turn of the event loop

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: Body = b"",
        headers: FieldsLike = (),
        timeouts: Timeouts | None = None,
        redirects: int = 0,
    ) -> ReceivedResponse:
        """Send a request and return its response with all of the content as `body`.

        Nothing is ever sent twice: whether a request that failed was carried out is for the caller
        to find out, unless the error is one of those after which nothing was sent.

        Args:
            method: as `GET`; in capitals, as methods have case.
            url: absolute, or a path if the client has an endpoint.
            body: bytes, which are sent with their length, or an iterable or async iterable of
                pieces, which are sent chunked.
            headers: pairs of names and values, or a mapping; without those that the client writes
                itself (Host, Connection and the framing).
            timeouts: instead of the client's.
            redirects: how many to follow. Credentials among the headers stay with their origin.

        Returns:
            The response, whatever its status.

        Raises:
            InvalidURL: the URL, or that of a redirect, is not an http or https URL.
            LocalProtocolError: the method or a field may not be sent.
            TypeError: an argument is of the wrong type. Nothing was sent after these three.
            ConnectFailed: there was no connection, and so nothing was sent.
            ConnectionBroken: the connection ended before the response did.
            RequestTimeout: one of the timeouts passed; `phase` names it.
            RemoteProtocolError: the answer is not HTTP/1.1, or is over a limit (LimitExceeded).
            TooManyRedirects: there were more than `redirects`.

        Example:
            >>> response = await client.request("POST", "/workloads", body=b"{}")
            >>> response.status, response.headers.get("location"), response.body

        """
        timeouts = self._timeouts if timeouts is None else checked(timeouts, Timeouts, "timeouts")
        following = Redirects(redirects, self._endpoint)
        request = ClientRequest(method, url, Headers(headers), content_of(body, is_async=True))
        async with _within(timeouts.total, url):
            while True:
                response = await self._exchange(request, timeouts)
                redirected = following.next_request(request, response)
                if redirected is None:
                    return response
                request = redirected

    async def _exchange(self, request: ClientRequest, timeouts: Timeouts) -> ReceivedResponse:
        async with self._open(request, timeouts, self._limits.body) as (streamed, response):
            response.body = await streamed.read()
            response.trailers = streamed.trailers
            return response

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        body: Body = b"",
        headers: FieldsLike = (),
        timeouts: Timeouts | None = None,
        body_limit: int | None = None,
    ) -> AsyncIterator[StreamedResponse]:
        """Send a request and yield the response as soon as its head has arrived.

        The content may be of any size: at most `Limits.stream_buffer` bytes of it wait in memory,
        then the connection is not read until the caller catches up. Leaving the block before the
        end of the content closes the connection.

        Args:
            method: as for `request`; so are `url`, `body` and `headers`.
            timeouts: instead of the client's; `total` counts until the block ends.
            body_limit: largest content of the response in bytes; None for no limit.

        Raises:
            LimitExceeded: the content is larger than `body_limit`; raised with the head when the
                response announces it, otherwise while the content is read.

        Other errors are those of `request`.

        """
        timeouts = self._timeouts if timeouts is None else checked(timeouts, Timeouts, "timeouts")
        if body_limit is not None:
            check_count(body_limit, "body_limit")
        request = ClientRequest(method, url, Headers(headers), content_of(body, is_async=True))
        async with (
            _within(timeouts.total, url),
            self._open(request, timeouts, body_limit) as (streamed, _),
        ):
            yield streamed

    @asynccontextmanager
    async def _open(
        self, request: ClientRequest, timeouts: Timeouts, body_limit: int | None
    ) -> AsyncIterator[tuple[StreamedResponse, ReceivedResponse]]:
        url = parse_url(request.url, self._endpoint)
        head = make_request(request, url)
        connection = await self._pool.acquire(url.endpoint, timeouts)
        try:
            total = NO_BODY_LIMIT if body_limit is None else body_limit
            response, exchange = await connection.start(
                head, request.body, timeouts, body_limit=total
            )
            held = self._limits.body if body_limit is None else body_limit
            yield StreamedResponse(response, connection, exchange, held), response
        finally:
            self._pool.release(url.endpoint, connection)


@asynccontextmanager
async def _within(seconds: float | None, url: str) -> AsyncIterator[None]:
    deadline = asyncio.timeout(seconds)
    try:
        async with deadline:
            yield
    except TimeoutError as error:
        if not deadline.expired():
            raise
        raise RequestTimeout(
            f"the response from {url!r} was not complete within {seconds} s", phase="total"
        ) from error
