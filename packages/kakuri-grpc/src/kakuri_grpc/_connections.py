"""The connections of a channel: opened on demand, with back-off after failures."""

import asyncio
import enum
import random
from dataclasses import replace

from kakuri_http2 import ExchangeEnded, Processed
from kakuri_http2 import Limits as HTTP2Limits
from kakuri_tcp import ClientTLS, ConnectFailed, Endpoint, connect

from kakuri_grpc._driver import ChannelDriver
from kakuri_grpc._errors import LocalError, Unavailable
from kakuri_grpc._limits import Backoff, Keepalive


class ChannelState(enum.Enum):
    """The state of a channel's connection (gRPC document "Connectivity semantics")."""

    IDLE = "idle"
    CONNECTING = "connecting"
    READY = "ready"
    TRANSIENT_FAILURE = "transient failure"
    SHUTDOWN = "shutdown"


class Connections:
    """The current connection, the attempt to open the next, and connections that are draining.

    Attributes:
        current: The last opened connection, which may have ended. None before the first one and
            after a failed attempt.
        is_closed: Whether the channel is closed and opens no more connections.
    """

    def __init__(
        self,
        name: str,
        endpoints: list[Endpoint],
        tls: ClientTLS | None,
        authority: str,
        limits: HTTP2Limits,
        backoff: Backoff,
        keepalive: Keepalive,
    ) -> None:
        self.current: ChannelDriver | None = None
        self.is_closed = False
        self._name = name
        self._endpoints = endpoints
        self._tls = tls
        self._authority = authority
        self._limits = limits
        self._backoff = backoff
        self._keepalive = keepalive
        self._next_endpoint = 0
        self._draining: set[ChannelDriver] = set()
        self._attempt: asyncio.Task[ChannelDriver | None] | None = None
        self._delay = backoff.first
        self._retry_at = 0.0
        self._failure = ""

    @property
    def state(self) -> ChannelState:
        """The state of the channel's connection."""
        if self.is_closed:
            return ChannelState.SHUTDOWN
        if self.current is not None and self.current.connection.accepts_streams:
            return ChannelState.READY
        if self._attempt is not None:
            return ChannelState.CONNECTING
        return ChannelState.TRANSIENT_FAILURE if self._failure else ChannelState.IDLE

    async def close(self, grace: float) -> None:
        """Wait up to `grace` seconds for running calls, and close all connections."""
        self.is_closed = True
        drivers = [*self._draining, *([self.current] if self.current else [])]
        try:
            if self._attempt is not None:
                self._attempt.cancel()
                await asyncio.wait([self._attempt])
            if grace:
                await asyncio.gather(*(driver.idle(grace) for driver in drivers))
        finally:  # even if the caller is cancelled
            for driver in drivers:
                driver.close()
        for driver in drivers:
            await driver.closed

    async def connected(self, *, wait_for_ready: bool) -> ChannelDriver:
        """Return a connection that accepts calls.

        Args:
            wait_for_ready: Keep trying, instead of failing with the first attempt.

        Raises:
            Unavailable: Connecting failed.
            LocalError: The channel is closed.
        """
        while True:
            if self.is_closed:
                raise LocalError(f"{self._name} is closed")
            if self.current is not None and self.current.connection.accepts_streams:
                return self.current
            wait = self._seconds_to_retry()
            if self._attempt is None and wait > 0:
                if not wait_for_ready:
                    raise self._unavailable()
                await asyncio.sleep(wait)
                continue
            attempt = self._attempt or self._start_attempt()
            await asyncio.wait([attempt])
            if attempt.cancelled():  # by `close`
                continue
            driver = attempt.result()
            if driver is not None:
                return driver
            if not wait_for_ready:
                raise self._unavailable()

    def _start_attempt(self) -> asyncio.Task[ChannelDriver | None]:
        # Not `create_task`: with `asyncio.eager_task_factory`, the attempt could end before it is
        # stored, and a finished attempt would remain the current one for ever.
        loop = asyncio.get_running_loop()
        self._attempt = asyncio.Task(self._replace_current(), loop=loop)
        return self._attempt

    def _going_away(self) -> None:
        """Open the next connection as soon as the server announces the end of this one (GOAWAY)."""
        if not self.is_closed and self._attempt is None and self._seconds_to_retry() <= 0:
            self._start_attempt()

    async def _connect(self) -> ChannelDriver:
        """Try each endpoint once, beginning after the one tried last."""
        error: ConnectFailed | None = None
        for _ in self._endpoints:
            endpoint = self._endpoints[self._next_endpoint % len(self._endpoints)]
            try:
                return await self._connect_to(endpoint)
            except ConnectFailed as failed:
                error = failed
                self._next_endpoint += 1
        assert error is not None
        raise error

    async def _connect_to(self, endpoint: Endpoint) -> ChannelDriver:
        is_unix = endpoint.scheme == "unix"
        authority = self._authority or ("localhost" if is_unix else endpoint.address)
        scheme = b"https" if endpoint.scheme == "tls" else b"http"
        interval = None if is_unix else self._keepalive.interval
        if self.current is not None and not is_unix:
            interval = self.current.interval  # a server may have asked for fewer pings
        keepalive = Keepalive(interval=interval, timeout=self._keepalive.timeout)

        def new_driver() -> ChannelDriver:
            return ChannelDriver(
                authority.encode(), scheme, self._limits, keepalive, self._going_away
            )

        timeout = self._backoff.connect
        driver = await connect(endpoint, new_driver, timeout=timeout, tls=self._tls)
        try:
            async with asyncio.timeout(timeout):
                await driver.ready()
        except asyncio.CancelledError:
            driver.close()
            await driver.closed
            raise
        except TimeoutError as failed:
            driver.close()
            reason = f"no SETTINGS frame within {timeout:g} s"
            raise ConnectFailed(str(endpoint), reason) from failed
        except ExchangeEnded as failed:
            driver.close()
            raise ConnectFailed(str(endpoint), str(failed)) from failed
        return driver

    async def _replace_current(self) -> ChannelDriver | None:
        """Connect, and return the connection as the current one; None if that failed."""
        try:
            driver = await self._connect()
        except ConnectFailed as error:
            self._failure = str(error)
            self._forget_current()
            self._back_off()
            return None
        finally:
            # Not in a callback of the task: calls that run before it would find the attempt done,
            # and try again endlessly.
            self._attempt = None
        if self.is_closed:
            driver.close()
            return None
        last, self.current, self._failure = self.current, driver, ""
        if last is not None:
            self._drain(last)
        if last is None or last.has_responded:
            self._delay, self._retry_at = self._backoff.first, 0.0
        else:  # a server may accept connections only to close them
            self._failure = "the server closed each connection before it responded to a call"
            self._back_off()
        return driver

    def _forget_current(self) -> None:
        """Drain the last connection after a failed attempt, if the server has responded on it."""
        if self.current is not None and self.current.has_responded:
            if self.current.interval is not None:
                self._keepalive = replace(self._keepalive, interval=self.current.interval)
            self._drain(self.current)
            self.current = None

    def _seconds_to_retry(self) -> float:
        """Return the delay before the next attempt: 0 after a connection that has worked."""
        if self.current is not None and self.current.has_responded:
            return 0.0
        return self._retry_at - asyncio.get_running_loop().time()

    def _back_off(self) -> None:
        """Delay the next attempt, and increase the delay for the one after it."""
        spread = 1 + self._backoff.jitter * random.uniform(-1, 1)  # noqa: S311 - not a secret
        self._retry_at = asyncio.get_running_loop().time() + self._delay * spread
        self._delay = min(self._delay * self._backoff.factor, self._backoff.longest)

    def _drain(self, driver: ChannelDriver) -> None:
        """Close a connection as soon as its open calls have ended."""
        if not driver.closed.done():
            self._draining.add(driver)
            driver.closed.add_done_callback(lambda _: self._draining.discard(driver))
            driver.close_when_idle()

    def _unavailable(self) -> Unavailable:
        return Unavailable(message=self._failure, processed=Processed.NO)
