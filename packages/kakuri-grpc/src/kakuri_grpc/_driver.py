"""The connection of a channel: gRPC's additions to an HTTP/2 client."""

import asyncio
import math
from collections.abc import Callable

from kakuri_http2 import (
    ClientDriver,
    ErrorCode,
    Event,
    Exchange,
    ExchangeEnded,
    GoingAway,
    Limits,
    LocalProtocolError,
    PingAcknowledged,
    PreparedRequest,
    Receiver,
    RemoteProtocolError,
    Request,
    SettingsReceived,
)
from kakuri_http2.hpack import Field

from kakuri_grpc._deadlines import Deadlines
from kakuri_grpc._errors import LocalError
from kakuri_grpc._limits import Keepalive
from kakuri_grpc._metadata import timeout_fields
from kakuri_grpc._unary import UnaryCall
from kakuri_grpc._version import __version__

Fields = tuple[Field, ...]

_Key = tuple[str, Fields, float | None]
"""Path, metadata and timeout."""

_PING = b"kakuri??"

_PING_PAUSE = 300.0
"""Minimum seconds between two pings about late calls, unless the server has sent something since,
because Go's and C's servers close connections that ping more often."""

_HEAD = (
    (b"content-type", b"application/grpc"),
    (b"te", b"trailers"),
    (b"user-agent", f"kakuri-grpc/{__version__}".encode()),
)

_UNTRIMMED = frozenset({b"grpc-message"})
"""Go's and C's servers send leading and trailing spaces of a status message (grpc/grpc#38540)."""

_MAX_CACHED_HEADS = 64


class ChannelDriver(ClientDriver):
    """A client's connection that reports when it is ready, idle, or silent for too long.

    Attributes:
        loop: The event loop of the connection.
        interval: Seconds of silence before a ping; None for no pings. Doubled if the server reports
            `too_many_pings`; the channel's next connection inherits it.
        deadlines: The deadlines of its calls.
        has_responded: Whether a call got a response, with any status.
        valid_head: Fields of the last valid head of a gRPC response. Equal header blocks decode to
            the same tuple, so repeated heads are not checked again.
        valid_trailers: Fields of the last trailers with status OK, for the same purpose.
    """

    def __init__(
        self,
        authority: bytes,
        scheme: bytes,
        limits: Limits,
        keepalive: Keepalive,
        going_away: Callable[[], None] = lambda: None,
    ) -> None:
        """Create the connection.

        Args:
            authority: `:authority` of the requests.
            scheme: `:scheme` of the requests.
            limits: The limits for the server.
            keepalive: When to ping.
            going_away: Called when the server announces that it accepts no more calls (GOAWAY).
        """
        super().__init__(limits, untrimmed=_UNTRIMMED)
        self.loop: asyncio.AbstractEventLoop = self._loop
        self.deadlines: Deadlines = Deadlines(self._loop)
        self.has_responded = False
        self.valid_head: Fields | None = None
        self.valid_trailers: Fields | None = None
        self._going_away = going_away
        self._authority = authority
        self._scheme = scheme
        self._heads: dict[_Key, tuple[PreparedRequest, Fields]] = {}
        self._seen: set[_Key] = set()  # requests with a timeout that were sent once
        self._is_ready = self._loop.create_future()
        self._fault: RemoteProtocolError | None = None
        self._idle_waiter: asyncio.Future[None] | None = None
        self._closes_when_idle = False
        self.interval: float | None = keepalive.interval
        self._ping_timeout = keepalive.timeout
        self._pinged_at = self._acknowledged_at = -math.inf
        self._keepalive: asyncio.TimerHandle | None = None
        self._liveness_check: asyncio.Future[None] | None = None

    # Room for calls; there is none during a liveness check (see call_expired).

    @property
    def has_room(self) -> bool:
        """Whether a call can be sent without waiting."""
        return (
            self._liveness_check is None
            and not self._waiting
            and self.connection.available_streams > self._granted
        )

    async def wait_for_room(self) -> None:
        """Wait until a call can be sent; send it before you await anything else.

        Raises:
            ExchangeEnded: The connection accepts no more calls; this one was not sent.
        """
        while self._liveness_check is not None:
            await asyncio.shield(self._liveness_check)
        if not self.has_room:
            await super().wait_for_room()

    # Calls. The caller has checked that there is room for a stream.

    def call(
        self,
        path: str,
        metadata: Fields,
        content: bytes,
        limit: int,
        timeout: float | None,
        deadline: float,
    ) -> UnaryCall:
        """Send the request of a call with one message in each direction.

        Raises:
            LocalError: The metadata exceeds the server's limit.
        """
        call = UnaryCall(self, limit, timeout, deadline)
        call.stream = self._start(call, path, metadata, timeout, content, is_end=True)
        if timeout is not None:
            self.deadlines.add(call)
        return call

    def end_call(self, call: UnaryCall) -> None:
        """Remove a call, and reset its stream unless it has ended."""
        self.deadlines.discard(call)
        if self.connection.has_stream(call.stream):
            self.reset(call.stream, ErrorCode.CANCEL)

    def open_call(self, path: str, metadata: Fields, timeout: float | None) -> Exchange:
        """Send the head of a streaming call.

        Raises:
            LocalError: The metadata exceeds the server's limit.
        """
        exchange = Exchange(self)
        exchange.stream = self._start(exchange, path, metadata, timeout, b"", is_end=False)
        return exchange

    def _start(
        self,
        receiver: Receiver,
        path: str,
        metadata: Fields,
        timeout: float | None,
        content: bytes,
        *,
        is_end: bool,
    ) -> int:
        try:
            request, fields = self._heads.get((path, metadata, timeout)) or self._prepare(
                path, metadata, timeout
            )
            return self.start(request, receiver, fields=fields, content=content, is_end=is_end)
        except LocalProtocolError as error:
            raise LocalError(str(error)) from error

    def _prepare(
        self, path: str, metadata: Fields, timeout: float | None
    ) -> tuple[PreparedRequest, Fields]:
        """Return the head of a request, and the fields to send after it.

        A new timeout is sent as a separate field after a cached head, because the time left before
        a deadline usually differs between calls. A timeout that is used again becomes part of a
        cached head.
        """
        key = path, metadata, timeout
        if timeout is not None and key not in self._seen:
            if len(self._seen) >= _MAX_CACHED_HEADS:
                self._seen.clear()
            self._seen.add(key)
            base = path, metadata, None
            head, _ = self._heads.get(base) or self._prepare(*base)
            return head, timeout_fields(timeout)
        extra = () if timeout is None else timeout_fields(timeout)
        if len(self._heads) >= _MAX_CACHED_HEADS:
            self._heads.clear()
        prepared = self._heads[key] = self._head(path, (*metadata, *extra)), ()
        return prepared

    def _head(self, path: str, fields: Fields) -> PreparedRequest:
        head = Request(b"POST", path.encode(), self._authority, (*_HEAD, *fields), self._scheme)
        return self.connection.prepare(head)

    # The start and the end of the connection.

    async def ready(self) -> None:
        """Wait for the server's SETTINGS.

        Raises:
            ExchangeEnded: The connection ended before they arrived.
        """
        await asyncio.shield(self._is_ready)

    async def idle(self, timeout: float) -> None:
        """Wait until no call is open, at most for some seconds."""
        if self.connection.open_streams:
            self._idle_waiter = self._loop.create_future()
            await asyncio.wait([self._idle_waiter], timeout=timeout)

    def close_when_idle(self) -> None:
        """Close as soon as no call is open."""
        self._closes_when_idle = True
        self._check_idle()

    def _check_idle(self) -> None:
        if self.connection.open_streams:
            return
        if self._idle_waiter is not None and not self._idle_waiter.done():
            self._idle_waiter.set_result(None)
        if self._closes_when_idle:
            self._closes_when_idle = False
            self.close()

    # Called by the HTTP/2 driver.

    def connection_lost(self, exc: Exception | None) -> None:
        """Handle the end of the transport."""
        super().connection_lost(exc)
        self._stop_keepalive()
        self.deadlines.close()
        if not self._is_ready.done():
            reason = "the server closed the connection"
            if self._fault is not None:
                reason = f"it does not speak HTTP/2: {self._fault}"
            ended = ExchangeEnded(reason, ErrorCode.NO_ERROR, by_peer=True)
            self._is_ready.set_exception(ended)
            self._is_ready.exception()  # retrieved, in case no caller awaits it

    def _handle(self, event: Event) -> None:
        super()._handle(event)
        if isinstance(event, SettingsReceived):
            if not self._is_ready.done():
                self._is_ready.set_result(None)
                self._watch_silence(self.interval)
        elif isinstance(event, GoingAway):
            if event.code == ErrorCode.ENHANCE_YOUR_CALM and event.debug == b"too_many_pings":
                self.interval = None if self.interval is None else 2 * self.interval
            self._closes_when_idle = True
            self._going_away()
        elif isinstance(event, PingAcknowledged):
            self._acknowledged_at = self.last_received
            self._end_liveness_check()

    def _ended(self, error: RemoteProtocolError | None) -> None:
        super()._ended(error)
        self._fault = error
        self._end_liveness_check()

    def _streams_changed(self) -> None:
        super()._streams_changed()
        if self._closes_when_idle or self._idle_waiter is not None:
            self._check_idle()

    # Keepalive: a timer that checks when bytes were last received.

    def _watch_silence(self, seconds: float | None) -> None:
        self._stop_keepalive()
        if seconds is not None and not self.connection.is_over:
            self._keepalive = self._loop.call_later(seconds, self._check_silence)

    def _stop_keepalive(self) -> None:
        if self._keepalive is not None:
            self._keepalive.cancel()
            self._keepalive = None

    def _check_silence(self) -> None:
        now = self._loop.time()
        silence = now - self.last_received
        if self._pinged_at > self.last_received:
            message = f"expected a ping to be acknowledged within {self._ping_timeout:g} s"
            self.fail(message, ErrorCode.NO_ERROR)
            return
        self._end_liveness_check()
        if self.interval is None:
            return
        if not self.connection.open_streams:
            self._watch_silence(self.interval)
        elif silence < self.interval:
            self._watch_silence(self.interval - silence)
        else:
            self._ping(now)

    def _ping(self, now: float) -> None:
        self.connection.ping(_PING)
        self._pinged_at = now
        self._flush_soon()
        self._watch_silence(self._ping_timeout)

    # Calls past their deadline: is the handler slow, or is the server dead?

    def call_expired(self, began: float) -> None:
        """Ping a server that was silent until a call's deadline; start no calls until it responds.

        Args:
            began: When the call was sent, by the event loop's clock.
        """
        now = self._loop.time()
        is_silent = now - self.last_received >= min(now - began, self._ping_timeout)
        if not is_silent or self._liveness_check is not None or self.connection.is_over:
            return
        if self._pinged_at <= self.last_received:
            has_sent_more = self.last_received > self._acknowledged_at
            if not has_sent_more and now - self._pinged_at < _PING_PAUSE:
                return
            self._ping(now)
        self._liveness_check = self._loop.create_future()

    def _end_liveness_check(self) -> None:
        if self._liveness_check is not None:
            check, self._liveness_check = self._liveness_check, None
            check.set_result(None)
