"""A channel: calls to one service, over a connection that is made when it is needed."""

import asyncio
import enum
import math
import random
from collections.abc import Iterable
from types import TracebackType
from typing import Self, TypeVar

from kakuri_http2 import ExchangeEnded, Processed
from kakuri_protobuf import DecodeError, Method
from kakuri_tcp import ClientTLS, ConnectFailed, Endpoint, connect

from kakuri_grpc._call import Call, undecodable
from kakuri_grpc._driver import ChannelDriver
from kakuri_grpc._errors import (
    DeadlineExceeded,
    LocalError,
    MessageTooLarge,
    StatusError,
    Unavailable,
    status_error,
)
from kakuri_grpc._framing import frame_message
from kakuri_grpc._limits import Backoff, Keepalive, Limits
from kakuri_grpc._messages import from_bytes, to_bytes
from kakuri_grpc._metadata import encode_metadata
from kakuri_grpc._status import StatusCode

R = TypeVar("R")
A = TypeVar("A")


class ChannelState(enum.Enum):
    """What a channel is doing about its connection (gRPC document "Connectivity semantics")."""

    IDLE = "idle"
    CONNECTING = "connecting"
    READY = "ready"
    TRANSIENT_FAILURE = "transient failure"
    SHUTDOWN = "shutdown"


class Channel:
    """Calls methods of a server.

    The connection is opened by the first call and again after it was lost. A call that surely was
    not processed is sent again by itself: without a limit if it never left, once if the server
    refused it. Everything else is the caller's decision; see `Unavailable.processed`.

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
            endpoints: one or more servers of the same service, such as `unix:/run/x.sock` or
                `tls://host:443`. They are tried in turn.
            tls: for endpoints of TLS; the application protocol `h2` is asked for.
            authority: the name of the service; the endpoint's host unless given, and `localhost`
                on Unix sockets.
            limits: sizes of messages, and of the connection below.
            backoff: how long to wait after a failure.
            keepalive: pings on silent connections; by default every 30 s, never on Unix sockets.

        """
        if not endpoints:
            raise ValueError("expected an endpoint")
        self._endpoints = [one if isinstance(one, Endpoint) else _parsed(one) for one in endpoints]
        self._tls = tls
        self._authority = authority
        self._limits = limits or Limits()
        self._backoff = backoff or Backoff()
        self._keepalive = keepalive or Keepalive()
        self._next = 0  # endpoint
        self._driver: ChannelDriver | None = None
        self._draining: set[ChannelDriver] = set()
        self._attempt: asyncio.Task[ChannelDriver] | None = None
        self._delay = self._backoff.first
        self._retry_at = 0.0
        self._failure = ""
        self._waiting = 0
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<Channel {', '.join(map(str, self._endpoints))} {self.state.value}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def state(self) -> ChannelState:
        """What the channel is doing about its connection."""
        if self._is_closed:
            return ChannelState.SHUTDOWN
        if self._driver is not None and self._driver.connection.accepts_streams:
            return ChannelState.READY
        if self._attempt is not None:
            return ChannelState.CONNECTING
        return ChannelState.TRANSIENT_FAILURE if self._failure else ChannelState.IDLE

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
            method: which call; neither side may stream.
            request: the message.
            timeout: seconds for everything, from waiting for a connection to the answer; None for
                no limit.
            metadata: pairs of names and values to send along.
            wait_for_ready: wait for a connection until the timeout, instead of failing as soon as
                there is none.

        Raises:
            StatusError: the server answered with another status than OK; the class says which.
            Unavailable: there is no answer; `processed` says whether to repeat.
            DeadlineExceeded: the time is over.
            MessageTooLarge: the request or the answer exceeds the limits.

        """
        content = frame_message(self._encoded(request, method))
        fields = encode_metadata(metadata) if metadata else ()
        deadline = _deadline(timeout)
        is_repeated = False
        while True:
            driver, remaining = self._driver, timeout
            if driver is None or not driver.has_room:
                driver = await self._wait_for_room(timeout, deadline, wait_for_ready)
                remaining = _remaining(deadline)
            call = driver.call(
                method.path, fields, content, self._limits.received, remaining, deadline
            )
            try:
                await call.finished
                return from_bytes(call.message(), method.response)
            except DeadlineExceeded as error:  # of this attempt, which may have had less time
                raise DeadlineExceeded(timeout or 0.0, error.message) from None
            except Unavailable as error:
                # The server surely did nothing: once more, as gRFC A6 says of transparent retries.
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
            method: which call.
            request: the only message of this side; without it, `Call.send` and `Call.end` send.
            timeout: seconds for the whole call; None for no limit.
            metadata: pairs of names and values to send along.
            wait_for_ready: as for `call`.

        Returns:
            The call, to be used as an async context manager.

        """
        fields = encode_metadata(metadata) if metadata else ()
        message = None if request is None else frame_message(self._encoded(request, method))
        deadline = _deadline(timeout)
        driver, remaining = self._driver, timeout
        if driver is None or not driver.has_room:
            driver = await self._wait_for_room(timeout, deadline, wait_for_ready)
            remaining = _remaining(deadline)
        exchange = driver.open_call(method.path, fields, remaining)
        call = Call(exchange, method, self._limits, timeout, deadline, driver.deadlines)
        if message is not None:
            try:
                await call.send_framed(message, end=True)
            except BaseException:
                call.cancel()
                raise
        return call

    async def close(self, grace: float = 0.0) -> None:
        """Accept no more calls, and close; those that run get `grace` seconds to end."""
        self._is_closed = True
        if self._attempt is not None:
            self._attempt.cancel()
            await asyncio.wait([self._attempt])
        drivers = [*self._draining, *([self._driver] if self._driver else [])]
        for driver in drivers:
            if grace:
                await driver.idle(grace)
            driver.close()
        for driver in drivers:
            await driver.closed
        self._driver = None

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
                    driver = self._driver
                    if driver is None or not driver.connection.accepts_streams:
                        driver = await self._connected(wait_for_ready=wait_for_ready)
                    try:
                        if not driver.has_room:
                            await driver.wait_for_room()
                    except ExchangeEnded as ended:  # nothing was sent: another connection does it
                        if self._is_closed:
                            raise Unavailable(
                                message=ended.message, processed=Processed.NO
                            ) from None
                        continue
                    return driver
        except TimeoutError:
            raise DeadlineExceeded(timeout or 0.0) from None
        finally:
            self._waiting -= 1

    # Connecting.

    async def _connected(self, *, wait_for_ready: bool) -> ChannelDriver:
        """Return a connection that accepts calls."""
        while True:
            if self._is_closed:
                raise LocalError(f"{self!r} is closed")
            if self._driver is not None and self._driver.connection.accepts_streams:
                return self._driver
            wait = self._seconds_to_retry()
            if self._attempt is None and wait > 0:
                if not wait_for_ready:
                    raise self._unavailable()
                await asyncio.sleep(wait)
                continue
            try:
                return await asyncio.shield(self._attempt or self._start_attempt())
            except ConnectFailed:
                if not wait_for_ready:
                    raise self._unavailable() from None

    def _start_attempt(self) -> asyncio.Task[ChannelDriver]:
        self._attempt = asyncio.get_running_loop().create_task(self._connect())
        self._attempt.add_done_callback(self._attempted)
        return self._attempt

    def _going_away(self) -> None:
        """Open the next connection as soon as the server takes leave of this one."""
        if not self._is_closed and self._attempt is None and self._seconds_to_retry() <= 0:
            self._start_attempt()

    async def _connect(self) -> ChannelDriver:
        """Try each endpoint once, beginning after the one that was tried last."""
        error: ConnectFailed | None = None
        for _ in self._endpoints:
            endpoint = self._endpoints[self._next % len(self._endpoints)]
            try:
                return await self._connect_to(endpoint)
            except ConnectFailed as failed:
                error = failed
                self._next += 1
        assert error is not None
        raise error

    async def _connect_to(self, endpoint: Endpoint) -> ChannelDriver:
        is_unix = endpoint.scheme == "unix"
        authority = self._authority or ("localhost" if is_unix else endpoint.address)
        scheme = b"https" if endpoint.scheme == "tls" else b"http"
        interval = None if is_unix else self._keepalive.interval
        if self._driver is not None and not is_unix:
            interval = self._driver.interval  # a server may have asked for fewer pings
        keepalive = Keepalive(interval=interval, timeout=self._keepalive.timeout)

        def make() -> ChannelDriver:
            return ChannelDriver(
                authority.encode(), scheme, self._limits.http2, keepalive, self._going_away
            )

        timeout = self._backoff.connect
        driver = await connect(endpoint, make, timeout=timeout, tls=self._tls)
        try:
            async with asyncio.timeout(timeout):
                await driver.ready()
        except asyncio.CancelledError:
            driver.close()
            await driver.closed
            raise
        except (TimeoutError, ExchangeEnded) as failed:
            driver.close()
            reason = "it does not speak HTTP/2" if driver.connection.is_over else "no SETTINGS came"
            raise ConnectFailed(str(endpoint), f"{reason}: {failed}") from failed
        return driver

    def _attempted(self, attempt: asyncio.Task[ChannelDriver]) -> None:
        self._attempt = None
        if attempt.cancelled():
            return
        error = attempt.exception()
        if error is None:
            driver = attempt.result()
            if self._is_closed:
                driver.close()
                return
            last, self._driver, self._failure = self._driver, driver, ""
            if last is not None:
                self._drain(last)
            if last is None or last.has_answered:
                self._delay, self._retry_at = self._backoff.first, 0.0
            else:  # a server may accept connections only to end them
                self._failure = "the server closed each connection before it answered a call"
                self._back_off()
            return
        self._failure = str(error)
        self._back_off()

    def _seconds_to_retry(self) -> float:
        """Return the delay before the next attempt: none after a connection that has worked."""
        if self._driver is not None and self._driver.has_answered:
            return 0.0
        return self._retry_at - asyncio.get_running_loop().time()

    def _back_off(self) -> None:
        """Delay the next attempt, and the one after it for longer."""
        spread = 1 + self._backoff.jitter * random.uniform(-1, 1)  # noqa: S311 - not a secret
        self._retry_at = asyncio.get_running_loop().time() + self._delay * spread
        self._delay = min(self._delay * self._backoff.factor, self._backoff.longest)

    def _drain(self, driver: ChannelDriver) -> None:
        """Close a connection as soon as its open calls have ended."""
        if not driver.closed.done():
            self._draining.add(driver)
            driver.closed.add_done_callback(lambda _: self._draining.discard(driver))
            driver.close_when_idle()

    def _unavailable(self) -> StatusError:
        return Unavailable(message=self._failure, processed=Processed.NO)


def _parsed(endpoint: str) -> Endpoint:
    if not isinstance(endpoint, str):
        raise TypeError(f"expected an endpoint, got {endpoint!r}")
    return Endpoint.parse(endpoint)


def _deadline(timeout: float | None) -> float:
    """Return when a call has to end, by the clock of the event loop."""
    if timeout is None:
        return math.inf
    deadline = asyncio.get_running_loop().time() + timeout
    if math.isnan(deadline):  # no comparison with it would ever end the call
        raise ValueError(f"expected a timeout in seconds, got {timeout!r}")
    return deadline


def _remaining(deadline: float) -> float | None:
    """Return the seconds until a deadline, if there is one."""
    return None if deadline == math.inf else deadline - asyncio.get_running_loop().time()
