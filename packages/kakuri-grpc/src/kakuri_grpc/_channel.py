"""A channel: calls to one service, over a connection that is made when it is needed."""

import asyncio
import math
from collections.abc import Iterable
from typing import Self, TypeVar

from kakuri_http2 import ExchangeEnded, Processed
from kakuri_protobuf import DecodeError, Method
from kakuri_tcp import ClientTLS, Endpoint

from kakuri_grpc._arguments import check_number, checked_or_default, parsed_endpoint
from kakuri_grpc._call import Call, undecodable
from kakuri_grpc._connections import ChannelState, Connections
from kakuri_grpc._driver import ChannelDriver
from kakuri_grpc._errors import DeadlineExceeded, MessageTooLarge, Unavailable, status_error
from kakuri_grpc._framing import frame_message
from kakuri_grpc._limits import Backoff, Keepalive, Limits
from kakuri_grpc._messages import LARGE_MESSAGE, LargeMessages, from_bytes, to_bytes
from kakuri_grpc._metadata import encode_metadata
from kakuri_grpc._status import StatusCode

R = TypeVar("R")
A = TypeVar("A")


class Channel:
    """Calls methods of a server.

    The connection is opened by the first call, and again after it was lost. A call that waits for a
    stream when its connection ends takes the next one. A call that was sent is repeated once, and
    only if the server certainly did not process it. Everything else is the caller's decision; see
    `Unavailable.processed`.

    >>> async def version(path: str) -> str:
    ...     async with Channel(f"unix:{path}") as channel:
    ...         answer = await channel.call(VERSION, VersionRequest(), timeout=2.0)
    ...     return answer.runtime_name
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
            authority: The name of the service; the endpoint's host unless given, and `localhost`
                on Unix sockets.
            limits: Sizes of messages, and of the connection below.
            backoff: How long to wait after a failure.
            keepalive: Pings on silent connections; by default every 30 s, but not on Unix sockets.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: There is no endpoint, or one is not valid (`EndpointError`).
        """
        if not endpoints:
            raise ValueError("expected an endpoint")
        self._endpoints = [parsed_endpoint(endpoint) for endpoint in endpoints]
        if tls is not None and not isinstance(tls, ClientTLS):
            raise TypeError(f"expected ClientTLS as tls, got {tls!r:.80}")
        if not isinstance(authority, str):
            raise TypeError(f"expected text as authority, got {authority!r:.80}")
        self._limits = checked_or_default(limits, Limits, "limits")
        self._waiting = 0
        self._large_messages = LargeMessages()
        self._connections = Connections(
            f"<Channel {', '.join(map(str, self._endpoints))}>",
            self._endpoints,
            tls,
            authority,
            self._limits.http2,
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
        """What the channel is doing about its connection."""
        return self._connections.state

    async def call(
        self,
        method: Method[R, A],
        request: R,
        *,
        timeout: float | None,
        metadata: Iterable[tuple[str, str | bytes]] = (),
        wait_for_ready: bool = False,
    ) -> A:
        """Send one message and return the one answer.

        Args:
            method: Which call; neither side may stream.
            request: The message.
            timeout: Seconds for everything, from waiting for a connection to the answer; None for
                no limit.
            metadata: Pairs of names and values to send along.
            wait_for_ready: Wait for a connection until the timeout, instead of failing as soon as
                there is none.

        Raises:
            StatusError: The server answered with another status than OK; the class says which.
            Unavailable: There is no answer; `processed` says whether to repeat.
            DeadlineExceeded: The time is over.
            MessageTooLarge: The request or the answer exceeds the limits.
            TypeError: An argument has the wrong type.
            ValueError: The timeout is NaN or an integer that no float can hold, or the metadata is
                not valid.
            RuntimeError: The channel belongs to another event loop.
        """
        _check_method(method)
        content = frame_message(self._encoded(request, method))
        fields = encode_metadata(metadata) if metadata else ()
        deadline = _deadline(timeout, self._connections.current)
        is_repeated = False
        while True:
            driver, remaining = self._connections.current, timeout
            if driver is None or not driver.has_room:
                driver = await self._wait_for_room(timeout, deadline, wait_for_ready)
                remaining = _remaining(deadline)
            call = driver.call(
                method.path, fields, content, self._limits.received, remaining, deadline
            )
            try:
                await call.finished
                message = call.message()
                if len(message) > LARGE_MESSAGE:
                    async with asyncio.timeout_at(None if timeout is None else deadline):
                        return await self._large_messages.decode(message, method.response)
                return from_bytes(message, method.response)
            except DeadlineExceeded as error:  # of this attempt, which may have had less time
                raise DeadlineExceeded(timeout or 0.0, error.message) from None
            except TimeoutError:
                raise DeadlineExceeded(timeout or 0.0) from None
            except Unavailable as error:
                # The server did not process it: repeat it once (transparent retries of gRFC A6).
                if error.processed is not Processed.NO or is_repeated:
                    raise
                is_repeated = True
            except DecodeError as error:
                raise undecodable(method, error) from error
            finally:
                driver.end_call(call)

    async def stream(
        self,
        method: Method[R, A],
        request: R | None = None,
        *,
        timeout: float | None,
        metadata: Iterable[tuple[str, str | bytes]] = (),
        wait_for_ready: bool = False,
    ) -> Call[R, A]:
        """Start a call in which either side may send any number of messages.

        Args:
            method: Which call.
            request: The only message of this side; without it, `Call.send` and `Call.end` send.
            timeout: Seconds for the whole call; None for no limit.
            metadata: Pairs of names and values to send along.
            wait_for_ready: As for `call`.

        Returns:
            The call, to be used as an async context manager.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: The timeout is NaN or an integer that no float can hold, or the metadata is
                not valid.
            RuntimeError: The channel belongs to another event loop.
        """
        _check_method(method)
        fields = encode_metadata(metadata) if metadata else ()
        message = None if request is None else frame_message(self._encoded(request, method))
        deadline = _deadline(timeout, self._connections.current)
        driver, remaining = self._connections.current, timeout
        if driver is None or not driver.has_room:
            driver = await self._wait_for_room(timeout, deadline, wait_for_ready)
            remaining = _remaining(deadline)
        exchange = driver.open_call(method.path, fields, remaining)
        call = Call(exchange, method, self._limits, timeout, deadline, driver, self._large_messages)
        if message is not None:
            try:
                await call.send_framed(message, end=True)
            except BaseException:
                call.cancel()
                raise
        return call

    async def close(self, grace: float = 0.0) -> None:
        """Accept no more calls, and close; those that run get `grace` seconds to end."""
        check_number(grace, "grace")
        await self._connections.close(grace)

    # Starting a call.

    def _encoded(self, request: R, method: Method[R, A]) -> bytes:
        data = to_bytes(request, method.request)
        if self._limits.sent is not None and len(data) > self._limits.sent:
            raise MessageTooLarge(len(data), self._limits.sent)
        return data

    async def _wait_for_room(
        self,
        timeout: float | None,
        deadline: float,
        wait_for_ready: bool,  # noqa: FBT001 - private
    ) -> ChannelDriver:
        """Return a connection that has a free stream, which the caller takes at once."""
        if self._waiting >= self._limits.waiting_calls:
            raise status_error(
                StatusCode.RESOURCE_EXHAUSTED,
                f"more than {self._limits.waiting_calls} calls wait for {self!r}",
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
                    except ExchangeEnded as ended:  # nothing was sent: another connection does it
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


def _deadline(timeout: object, driver: ChannelDriver | None) -> float:
    """Return when a call has to end, by the clock of the event loop.

    Raises:
        TypeError: The timeout has the wrong type.
        ValueError: The timeout is NaN or an integer that no float can hold.
        RuntimeError: The driver belongs to another event loop.
    """
    loop = asyncio.get_running_loop()
    if driver is not None and driver.loop is not loop:
        raise RuntimeError("the channel belongs to another event loop; use one channel per loop")
    if timeout is None:
        return math.inf
    if not isinstance(timeout, int | float) or isinstance(timeout, bool):
        raise TypeError(f"expected seconds or None as timeout, got {timeout!r:.80}")
    try:
        deadline = loop.time() + timeout
    except OverflowError:
        raise ValueError(f"expected seconds or None as timeout, got {timeout!r:.80}") from None
    if math.isnan(deadline):  # no comparison with it would ever end the call
        raise ValueError("expected seconds or None as timeout, got NaN")
    return deadline


def _remaining(deadline: float) -> float | None:
    """Return the seconds until a deadline, if there is one."""
    return None if deadline == math.inf else deadline - asyncio.get_running_loop().time()
