"""The asyncio client."""

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Self

from kakuri_tcp import ClientTLS, Endpoint

from kakuri_http._headers import FieldsLike, Headers
from kakuri_http._limits import (
    Limits,
    Timeouts,
    check_count,
    checked,
    checked_or_default,
)
from kakuri_http._messages import ReceivedResponse
from kakuri_http._url import Params, parse_url
from kakuri_http.client._pool import Pool
from kakuri_http.client._pool_limits import PoolLimits
from kakuri_http.client._protocol import ClientProtocol, Exchange
from kakuri_http.client._requests import (
    Body,
    ClientRequest,
    Methods,
    Redirects,
    RequestOptions,
    make_request,
    request_timeout,
)
from kakuri_http.core._heads import NO_BODY_LIMIT, check_body_length


class StreamedResponse:
    """A response whose content is read as it arrives: iterate over it, or call `read`.

    Read the content inside the block of `Client.stream`. Afterwards, another request may use the
    connection, so even content that has arrived can't be read.

    Attributes:
        status: From 200 to 599.
        reason: The phrase after the status, often empty.
        headers: The fields.
        http_version: `1.1` or `1.0`.
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

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        # Not a generator: after an error or a cancelled wait, a generator would end as if the
        # content had.
        return await self._connection.next_piece(self._exchange)

    @property
    def trailers(self) -> Headers | None:
        """The fields after chunked content; None before its end."""
        content = self._exchange.content
        return content.trailers if content is not None else None

    async def read(self) -> bytes:
        """Return all content that has not been read yet.

        The content is held in memory, so its size is limited: by the request's `body_limit` if set,
        otherwise by the client's `Limits.body`. Iteration has no such limit.

        Raises:
            LimitExceeded: The content is larger.
            ConnectionBroken: The connection closed before the content ended.
            RequestTimeout: The server sent nothing for `Timeouts.read`.
            ResponseClosed: The block has ended.
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


class Client(Methods[Body, Coroutine[Any, Any, ReceivedResponse]]):
    """An HTTP/1.1 client for asyncio with a pool of connections.

    It never repeats a request, and follows no redirects by default. TLS certificates are always
    verified. While all connections are in use, requests wait in order. A client belongs to the
    event loop in which it is first used.

    Example:
        >>> async with Client("unix:/run/kakuri/sidecar.sock") as client:
        ...     response = await client.get("/zones", params={"limit": 5})
        ...     response.status, response.json(json.loads)
    """

    def __init__(
        self,
        endpoint: Endpoint | str | None = None,
        *,
        timeouts: Timeouts | None = None,
        pool: PoolLimits | None = None,
        limits: Limits | None = None,
        tls: ClientTLS | None = None,
        trusted_uids: Collection[int] | None = None,
    ) -> None:
        """Create a client; the first request connects.

        Args:
            endpoint: Where to connect regardless of the URL, such as `unix:/run/x.sock`. URLs can
                then be just paths.
            timeouts: Timeouts of requests that do not set their own; None for `Timeouts()`.
            pool: How many connections to keep; None for `PoolLimits()`.
            limits: What a server may send; None for `Limits()`. Only the limits on messages apply.
            tls: Which certificates to trust, and which one to present.
            trusted_uids: Users whose servers on this machine are trusted besides root and the user
                of this process; None to check only servers of Unix sockets, and not those on
                loopback.

        Raises:
            EndpointError: The endpoint is not valid.
            TypeError: An argument has the wrong type.
        """
        self._endpoint = None if endpoint is None else Endpoint.of(endpoint)
        self._timeouts = checked_or_default(timeouts, Timeouts, "timeouts")
        self._limits = checked_or_default(limits, Limits, "limits")
        pool = checked_or_default(pool, PoolLimits, "pool")
        if tls is not None:
            checked(tls, ClientTLS, "tls")
        self._pool = Pool(pool, self._limits, tls, trusted_uids)

    def __repr__(self) -> str:
        return f"<Client {self._pool!r}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections. Requests in progress fail with ConnectionBroken."""
        self._pool.close()
        await asyncio.sleep(0)  # the transports close in the next turn of the event loop

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: Body = b"",
        headers: FieldsLike = (),
        params: Params = (),
        timeouts: Timeouts | None = None,
        redirects: int = 0,
    ) -> ReceivedResponse:
        """Send a request and return the response with all of its content as `body`.

        No request is ever sent twice. After `ConnectionBroken` and `RequestTimeout`, the server may
        or may not have processed the request: find out before you repeat one that is not
        idempotent. An error marked "Nothing sent" means that it is safe to try again, except with
        `redirects`: the error can then be about the request to a new location, after the server
        has processed the original one.

        If the response is complete before the request is, sending stops and the response is
        returned. Cancelling the call closes its connection.

        Args:
            method: For example `GET`; methods are case-sensitive.
            url: Absolute, or a path if the client has an endpoint; percent-encoded.
            body: Bytes, sent with their length, or an iterable or async iterable of pieces, sent
                chunked.
            headers: Pairs of names and values, or a mapping. Host, Connection, Upgrade, TE, Trailer
                and the framing fields are not allowed, because the client writes them.
            params: Parameters to add to the URL's query, encoded by `encode_query`.
            timeouts: Timeouts to use instead of the client's.
            redirects: How many redirects to follow. Credentials are not sent to another origin. If
                the body consists of pieces, which can't be sent again, a 307 or 308 is returned.

        Returns:
            The response, whatever its status.

        Raises:
            InvalidURL: The URL, or the target of a redirect, is not an http or https URL. Nothing
                sent.
            LocalProtocolError: The method or a field can't be sent. Nothing sent.
            TypeError: An argument has the wrong type. Nothing sent.
            ConnectFailed: No connection could be opened. Nothing sent.
            ConnectionBroken: The connection closed before the response was complete.
            RequestTimeout: One of the timeouts passed; `phase` names it.
            RemoteProtocolError: The response is not valid HTTP/1.1, or exceeds a limit
                (LimitExceeded).
            TooManyRedirects: There were more than `redirects` redirects.

        Example:
            >>> response = await client.request("POST", "/workloads", body=b"{}")
            >>> response.status, response.headers.get("location"), response.text()
            (201, '/workloads/a', '{"id":"a"}')
        """
        timeouts = self._timeouts if timeouts is None else checked(timeouts, Timeouts, "timeouts")
        following = Redirects(redirects, self._endpoint)
        request = ClientRequest.of(method, url, body, headers, params, is_async=True)
        async with _within(timeouts.total, url):
            while True:
                response = await self._exchange(request, timeouts)
                redirected = following.next_request(request, response)
                if redirected is None:
                    return response
                request = redirected

    def _request(
        self, method: str, url: str, body: Body, options: RequestOptions
    ) -> Coroutine[Any, Any, ReceivedResponse]:
        return self.request(method, url, body=body, **options)

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
        params: Params = (),
        timeouts: Timeouts | None = None,
        body_limit: int | None = None,
    ) -> AsyncIterator[StreamedResponse]:
        """Send a request and yield the response as soon as its head has arrived.

        The content can be of any size: at most `Limits.stream_buffer` unread bytes are held in
        memory; beyond that, reading pauses until the caller catches up. Leaving the block before
        the end of the content closes the connection. Redirects are not followed.

        Args:
            method: As for `request`, like `url`, `body`, `headers` and `params`.
            timeouts: Timeouts to use instead of the client's; `total` includes the whole block.
            body_limit: Largest content of the response in bytes; None for no limit.

        Raises:
            LimitExceeded: The content is larger than `body_limit`. Raised when the head arrives if
                the response announces its size, otherwise while the content is read.

        Other errors are those of `request`.

        Example:
            >>> async with client.stream("GET", "/workloads/a/logs") as response:
            ...     async for piece in response:
            ...         sys.stdout.buffer.write(piece)
        """
        timeouts = self._timeouts if timeouts is None else checked(timeouts, Timeouts, "timeouts")
        if body_limit is not None:
            check_count(body_limit, "body_limit")
        request = ClientRequest.of(method, url, body, headers, params, is_async=True)
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
            if (sender := connection.sender) is not None:
                await asyncio.wait([sender])  # until the body's generator is closed


@asynccontextmanager
async def _within(seconds: float | None, url: str) -> AsyncIterator[None]:
    deadline = asyncio.timeout(seconds)
    try:
        async with deadline:
            yield
    except TimeoutError as error:
        if not deadline.expired():
            raise
        raise request_timeout("total", repr(url), seconds) from error
