"""The connection of a channel: what gRPC adds to a client of HTTP/2."""

import asyncio

from kakuri_http2 import (
    ClientDriver,
    ErrorCode,
    Event,
    ExchangeEnded,
    GoingAway,
    Limits,
    PingAcknowledged,
    SettingsReceived,
)

from kakuri_grpc._limits import Keepalive

_PING = b"kakuri??"


class ChannelDriver(ClientDriver):
    """A client's connection that knows when it is ready, idle, and silent for too long.

    Attributes:
        authority: of the requests.
        scheme: of the requests.

    """

    def __init__(
        self, authority: bytes, scheme: bytes, limits: Limits, keepalive: Keepalive
    ) -> None:
        super().__init__(limits)
        self.authority = authority
        self.scheme = scheme
        self._is_ready = self._loop.create_future()
        self._idle_waiter: asyncio.Future[None] | None = None
        self._closes_when_idle = False
        self._interval = keepalive.interval
        self._ping_timeout = keepalive.timeout
        self._keepalive: asyncio.TimerHandle | None = None

    async def ready(self) -> None:
        """Wait for the server's SETTINGS.

        Raises:
            ExchangeEnded: the connection ended before they came.

        """
        await asyncio.shield(self._is_ready)

    async def idle(self, timeout: float) -> None:
        """Wait until no call is open, for some seconds at most."""
        if self._exchanges and not self.connection.is_over:
            self._idle_waiter = self._loop.create_future()
            await asyncio.wait([self._idle_waiter], timeout=timeout)

    def close_when_idle(self) -> None:
        """Close as soon as no call is open."""
        self._closes_when_idle = True
        self._check_idle()

    def _check_idle(self) -> None:
        if self._exchanges and not self.connection.is_over:
            return
        if self._idle_waiter is not None and not self._idle_waiter.done():
            self._idle_waiter.set_result(None)
        if self._closes_when_idle:
            self._closes_when_idle = False
            self.close()

    # From the driver below.

    def data_received(self, data: bytes) -> None:
        """Process bytes from the server; any byte shows that the connection works."""
        super().data_received(data)
        self._restart_keepalive()

    def connection_lost(self, exc: Exception | None) -> None:
        """Handle the end of the transport."""
        super().connection_lost(exc)
        self._stop_keepalive()
        if not self._is_ready.done():
            ended = ExchangeEnded("the connection ended", ErrorCode.NO_ERROR, by_peer=True)
            self._is_ready.set_exception(ended)
            self._is_ready.exception()  # retrieved, in case no caller awaits it
        self._check_idle()

    def _handle(self, event: Event) -> None:
        super()._handle(event)
        if isinstance(event, SettingsReceived):
            if not self._is_ready.done():
                self._is_ready.set_result(None)
                self._restart_keepalive()
        elif isinstance(event, PingAcknowledged):
            self._restart_keepalive()
        elif isinstance(event, GoingAway):
            if event.code == ErrorCode.ENHANCE_YOUR_CALM and event.debug == b"too_many_pings":
                self._interval = None if self._interval is None else 2 * self._interval
            self.close_when_idle()

    def flush(self) -> None:
        """Write queued bytes, and check whether the connection has become idle."""
        super().flush()
        if not self._exchanges:
            self._check_idle()

    # Keepalive.

    def _restart_keepalive(self) -> None:
        self._stop_keepalive()
        if self._interval is not None and not self.connection.is_over:
            self._keepalive = self._loop.call_later(self._interval, self._ping)

    def _stop_keepalive(self) -> None:
        if self._keepalive is not None:
            self._keepalive.cancel()
            self._keepalive = None

    def _ping(self) -> None:
        if not self._exchanges:
            self._restart_keepalive()
            return
        self.connection.ping(_PING)
        self._flush_soon()
        self._keepalive = self._loop.call_later(self._ping_timeout, self._give_up)

    def _give_up(self) -> None:
        message = f"expected an answer to a ping within {self._ping_timeout:g} s"
        self.connection.fail(message, ErrorCode.NO_ERROR)
        self._handle_events()
