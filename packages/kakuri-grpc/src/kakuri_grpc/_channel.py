"""A channel: calls to one service, over a connection that is opened on demand."""

import asyncio
import math
from collections.abc import Iterable
from typing import Self, TypeVar

from kakuri_http2 import ExchangeEnded, Processed
from kakuri_protobuf import DecodeError, Method
from kakuri_tcp import ClientTLS, Endpoint

from kakuri_grpc._arguments import check_float, check_number, checked_or_default, parsed_endpoint
from kakuri_grpc._call import Call, undecodable
from kakuri_grpc._connections import ChannelState, Connections
from kakuri_grpc._driver import ChannelDriver
from kakuri_grpc._errors import DeadlineExceeded, Unavailable, status_error
from kakuri_grpc._framing import frame_message
from kakuri_grpc._limits import Backoff, Keepalive, Limits
from kakuri_grpc._messages import MessageCodec
from kakuri_grpc._metadata import encode_metadata
from kakuri_grpc._status import StatusCode

_NEGLIGIBLE = 0.001
"""Seconds that may pass before a request is sent without shortening the server's timeout."""

Request = TypeVar("Request")
Response = TypeVar("Response")


class Channel:
    """Calls methods of a server.

    The first call connects, and later calls reconnect if the connection was lost. If a connection
    ends while a call waits for a stream, the call moves to the next connection. A call that was
    sent is retried once, and only if the server certainly did not process it. Any other retry is
    the caller's decision; see `Unavailable.processed`.

    >>> async def version(path: str) -> str:
    ...     async with Channel(f"unix:{path}") as channel:
    ...         response = await channel.call(VERSION, VersionRequest(), timeout=2.0)
    ...     return response.runtime_name
    """

    def __init__(
        self,
        *endpoints: Endpoint | str,
        tls: ClientTLS | None = None,
        authority: str = "",
        limits: Limits | None = None,
        backoff: Backoff | None = None,
        keepalive: Keepalive | None = None,
    ) -> None:
        """Create a channel to the given endpoints; the first call connects.

        Args:
            endpoints: One or more servers of the same service, such as `unix:/run/x.sock` or
                `tls://host:443`. They are tried in turn.
            tls: Settings for `tls://` endpoints; the application protocol `h2` is requested.
            authority: The name of the service (`:authority`). By default, the endpoint's host, or
                `localhost` for Unix sockets.
            limits: Limits of messages, waiting calls and connections.
            backoff: How long to wait after failures to connect.
            keepalive: Pings on silent connections; by default every 30 s, except on Unix sockets.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: No endpoint is given, or one is not valid (`EndpointError`).
        """
        if not endpoints:
            raise ValueError("expected an endpoint")
        self._endpoints = [parsed_endpoint(endpoint) for endpoint in endpoints]
        if tls is not None and not isinstance(tls, ClientTLS):
            raise TypeError(f"expected ClientTLS as tls, got {tls!r:.80}")
        if not isinstance(authority, str):
            raise TypeError(f"expected a string as authority, got {authority!r:.80}")
        limits = checked_or_default(limits, Limits, "limits")
        self._waiting = 0
        self._codec = MessageCodec(limits)
        self._connections = Connections(
            f"<Channel {', '.join(map(str, self._endpoints))}>",
            self._endpoints,
            tls,
            authority,
            limits.http2,
            checked_or_default(backoff, Backoff, "backoff"),
            checked_or_default(keepalive, Keepalive, "keepalive"),
        )

    def __repr__(self) -> str:
        return f"<Channel {', '.join(map(str, self._endpoints))} {self.state.value}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    @property
    def state(self) -> ChannelState:
        """The state of the channel's connection."""
        return self._connections.state

    async def call(
        self,
        method: Method[Request, Response],
        request: Request,
        *,
        timeout: float | None,
        metadata: Iterable[tuple[str, str | bytes]] = (),
        wait_for_ready: bool = False,
    ) -> Response:
        """Send one message and return the single response.

        Args:
            method: The method to call; neither side may stream.
            request: The message.
            timeout: Seconds for the whole call, from waiting for a connection to the response; None
                for no limit.
            metadata: Pairs of names and values to send with the call.
            wait_for_ready: Wait for a connection until the timeout, instead of failing immediately
                if connecting fails.

        Raises:
            StatusError: The server responded with a status other than OK; the class depends on it.
            Unavailable: There is no response; `processed` says whether it is safe to retry.
            DeadlineExceeded: The timeout passed.
            MessageTooLarge: The request or the response exceeds the limits.
            TypeError: An argument has the wrong type, or the method is not unary.
            ValueError: The timeout is NaN or too large for a float, or the metadata is not valid.
            RuntimeError: The channel belongs to another event loop.
        """
        _check_method(method)
        if method.client_streams or method.server_streams:
            raise TypeError(
                f"expected a unary method, got {method.path}, which streams: use `stream`"
            )
        fields = encode_metadata(metadata) if metadata else ()
        deadline = _deadline(timeout, self._connections.current)
        try:
            content = frame_message(await self._codec.encode(request, method.request, deadline))
        except TimeoutError:
            raise DeadlineExceeded(timeout or 0.0) from None
        is_repeated = False
        while True:
            driver = self._connections.current
            if driver is None or not driver.has_room:
                driver = await self._wait_for_room(timeout, deadline, wait_for_ready)
            remaining = _remaining(timeout, deadline, driver.loop)
            call = driver.call(
                method.path, fields, content, self._codec.limits.received, remaining, deadline
            )
            try:
                await call.finished
                return await self._codec.decode(call.message(), method.response, deadline)
            except DeadlineExceeded as error:  # of this attempt, which may have had less time
                raise DeadlineExceeded(timeout or 0.0, error.message) from None
            except TimeoutError:
                raise DeadlineExceeded(timeout or 0.0) from None
            except Unavailable as error:
                # The server did not process it: retry once (transparent retries of gRFC A6).
                if error.processed is not Processed.NO or is_repeated:
                    raise
                is_repeated = True
            except DecodeError as error:
                raise undecodable(method, error) from error
            finally:
                driver.end_call(call)

    async def stream(
        self,
        method: Method[Request, Response],
        request: Request | None = None,
        *,
        timeout: float | None,
        metadata: Iterable[tuple[str, str | bytes]] = (),
        wait_for_ready: bool = False,
    ) -> Call[Request, Response]:
        """Start a call in which either side may send any number of messages.

        Args:
            method: The method to call.
            request: The only message of this side. Without it, call `Call.send` and `Call.end`.
            timeout: Seconds for the whole call; None for no limit.
            metadata: Pairs of names and values to send with the call.
            wait_for_ready: See `call`.

        Returns:
            The call; use it as an async context manager.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: The timeout is NaN or too large for a float, or the metadata is not valid.
            RuntimeError: The channel belongs to another event loop.
        """
        _check_method(method)
        fields = encode_metadata(metadata) if metadata else ()
        deadline = _deadline(timeout, self._connections.current)
        message = None
        if request is not None:
            try:
                message = frame_message(await self._codec.encode(request, method.request, deadline))
            except TimeoutError:
                raise DeadlineExceeded(timeout or 0.0) from None
        driver = self._connections.current
        if driver is None or not driver.has_room:
            driver = await self._wait_for_room(timeout, deadline, wait_for_ready)
        remaining = _remaining(timeout, deadline, driver.loop)
        exchange = driver.open_call(method.path, fields, remaining)
        call = Call(exchange, method, self._codec, timeout, deadline, driver)
        if message is not None:
            try:
                await call.send_framed(message, end=True)
            except BaseException:
                call.cancel()
                raise
        return call

    async def close(self, grace: float = 0.0) -> None:
        """Accept no more calls, wait up to `grace` seconds for running ones, and close.

        Raises:
            RuntimeError: The channel belongs to another event loop.
        """
        check_number(grace, "grace")
        _check_loop(self._connections.current)
        await self._connections.close(grace)
        self._codec.close()

    # Starting a call.

    async def _wait_for_room(
        self,
        timeout: float | None,
        deadline: float,
        wait_for_ready: bool,  # noqa: FBT001 - private
    ) -> ChannelDriver:
        """Return a connection with a free stream, which the caller has to use immediately."""
        if self._waiting >= self._codec.limits.waiting_calls:
            raise status_error(
                StatusCode.RESOURCE_EXHAUSTED,
                f"more than {self._codec.limits.waiting_calls} calls wait for {self!r}",
            )
        self._waiting += 1
        try:
            async with asyncio.timeout_at(None if timeout is None else deadline):
                while True:
                    driver = self._connections.current
                    if driver is None or not driver.connection.accepts_streams:
                        driver = await self._connections.connected(wait_for_ready=wait_for_ready)
                    try:
                        if not driver.has_room:
                            await driver.wait_for_room()
                    except ExchangeEnded as ended:  # nothing was sent, so use another connection
                        if self._connections.is_closed:
                            raise Unavailable(
                                message=ended.message, processed=Processed.NO
                            ) from None
                        continue
                    return driver
        except TimeoutError:
            raise DeadlineExceeded(timeout or 0.0) from None
        finally:
            self._waiting -= 1


def _check_method(method: object) -> None:
    if not isinstance(method, Method):
        raise TypeError(f"expected a Method, got {method!r:.80}")


def _check_loop(driver: ChannelDriver | None) -> asyncio.AbstractEventLoop:
    """Return the running event loop; raise RuntimeError if the driver belongs to another one."""
    loop = asyncio.get_running_loop()
    if driver is not None and driver.loop is not loop:
        raise RuntimeError("the channel belongs to another event loop; use one channel per loop")
    return loop


def _deadline(timeout: object, driver: ChannelDriver | None) -> float:
    """Return the deadline of a call, by the event loop's clock.

    Raises:
        TypeError: The timeout has the wrong type.
        ValueError: The timeout is NaN or too large for a float.
        RuntimeError: The driver belongs to another event loop.
    """
    loop = _check_loop(driver)
    if timeout is None:
        return math.inf
    if not isinstance(timeout, int | float) or isinstance(timeout, bool):
        raise TypeError(f"expected seconds or None as timeout, got {timeout!r:.80}")
    check_float(timeout, "seconds or None as timeout")
    deadline = loop.time() + timeout
    if math.isnan(deadline):  # no comparison with NaN would ever end the call
        raise ValueError("expected seconds or None as timeout, got NaN")
    return deadline


def _remaining(
    timeout: float | None, deadline: float, loop: asyncio.AbstractEventLoop
) -> float | None:
    """Return the seconds until a deadline; the whole timeout if hardly any time has passed.

    The driver caches the encoded heads of requests whose timeout is used again.
    """
    if timeout is None:
        return None
    remaining = deadline - loop.time()
    return timeout if timeout - remaining < _NEGLIGIBLE else remaining
