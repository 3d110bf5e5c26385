"""Request and reply, one line each: the client's side.

One connection carries all requests. Those of one turn of the event loop are sent in one write.
Replies come in the order of the requests, so each line belongs to the oldest request without a
reply. A request that timed out or was cancelled keeps its position: its reply is dropped when it
comes, and never returned for another request.
"""

import asyncio
import contextvars
import time
from collections.abc import Collection
from typing import Self

from kakuri_tcp._connect import connect
from kakuri_tcp._endpoint import Endpoint
from kakuri_tcp._errors import ClientClosed, ConnectFailed, TooManyRequests, format_seconds
from kakuri_tcp._limits import check_timeout, check_type, checked_uids
from kakuri_tcp._line_client_connection import LineClientConnection, ReplyFuture, ReplyReceiver
from kakuri_tcp._line_limits import DEFAULT_LINE_CLIENT_LIMITS, LineClientLimits
from kakuri_tcp._tls import ClientTLS, tls_for

REQUEST_TIMEOUT = 5.0
"""Seconds for a request and its reply, by default."""

_LF = 0x0A  # CPython finds an integer in bytes four times as fast as `b"\n"`


class LineClient:
    """A client that sends request lines to one peer and returns the reply lines.

        async with LineClient("127.0.0.1:9000") as client:
            first, second = await asyncio.gather(client.request(b"a"), client.request(b"b"))

    It connects on the first request and reconnects after losing the connection, with exponential
    backoff. It never repeats a request. Use it in one event loop only, and close it or use it as a
    context manager.

    Attributes:
        endpoint: The peer's endpoint.
        limits: The client's limits.
    """

    def __init__(
        self,
        endpoint: Endpoint | str,
        *,
        limits: LineClientLimits | None = None,
        tls: ClientTLS | None = None,
        trusted_uids: Collection[int] | None = None,
    ) -> None:
        """Create a client; nothing is sent yet.

        Args:
            endpoint: Where to connect.
            limits: Limits of lines, requests and time; None for the defaults.
            tls: For the scheme "tls": which servers to trust, and the client's certificate.
            trusted_uids: Users whose servers on this machine are trusted besides root and the user
                of this process; None to check only servers of Unix sockets, and not those on
                loopback.

        Raises:
            TLSSettingsError: A file of the TLS settings can't be used.
            EndpointError: The text is not an endpoint, or `tls` is given for another scheme.
        """
        endpoint = Endpoint.of(endpoint)
        tls_for(endpoint, tls)
        limits = DEFAULT_LINE_CLIENT_LIMITS if limits is None else limits
        check_type("limits", limits, LineClientLimits)
        self.endpoint: Endpoint = endpoint
        self.limits = limits
        self._name = str(endpoint)
        self._tls = tls
        self._trusted_uids = checked_uids(trusted_uids)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: LineClientConnection | None = None
        self._connecting: asyncio.Task[LineClientConnection] | None = None
        self._waiting = 0
        self._failures = 0
        self._not_before = 0.0
        self._last_reason = ""
        self._last_fault: BaseException | None = None
        self._is_closed = False
        self._checked_timeout = REQUEST_TIMEOUT
        # Replies come in the connection's context, which is not that of a request.
        self._context = contextvars.copy_context()

    def __repr__(self) -> str:
        if self._is_closed:
            state = "closed"
        elif self.is_connected:
            state = "connected"
        else:
            state = f"not connected, {self._failures} failures"
        return f"<LineClient {self._name} {state}, {self.in_flight} in flight>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection at this moment."""
        return self._connection is not None and not self._connection.is_closing

    @property
    def in_flight(self) -> int:
        """The number of requests without a reply, including those not sent yet."""
        return self._waiting + (
            len(self._connection.pending) if self._connection is not None else 0
        )

    async def request(self, line: bytes, *, timeout: float = REQUEST_TIMEOUT) -> bytes:
        """Send a line and return the line that answers it.

        Any number of requests may be in flight at a time. If the caller is cancelled, the reply is
        dropped when it arrives.

        Args:
            line: The request, without its end.
            timeout: Seconds for the whole request, including connecting. It may fire up to 20 ms
                late.

        Returns:
            The reply, without its end.

        Raises:
            RequestNotSent: Nothing was sent, so the request may be repeated (ConnectFailed,
                TooManyRequests, ClientClosed).
            RequestLost: The connection ended after the request was sent and before the reply
                arrived. It is unknown whether the request was carried out.
            RequestTimeout: No reply arrived in time. It is unknown whether the request was carried
                out.
            TypeError: An argument has the wrong type.
            ValueError: The line is longer than the limit, contains a line feed, or ends with a
                carriage return; or the timeout is NaN.
            RuntimeError: The client has been used in another event loop.
        """
        future = ReplyFuture()
        if not self.try_send(line, future, timeout=timeout):
            deadline = asyncio.get_running_loop().time() + timeout
            connection = await self._ready(deadline, timeout)
            connection.send(line, future, deadline, timeout)
        return await future

    def try_send(
        self, line: bytes, receiver: ReplyReceiver, *, timeout: float = REQUEST_TIMEOUT
    ) -> bool:
        """Send a line if the connection can take it now; return False if nothing was sent.

        This is the cheapest way to make a request: `receiver` gets the reply directly, without a
        coroutine or another turn of the event loop. If the result is False, call `request` instead.

        Args:
            line: The request, without its end.
            receiver: Receives the reply, or the error if there is none.
            timeout: Seconds for the reply. It may fire up to 20 ms late.

        Raises:
            TypeError: As for `request`.
            ValueError: As for `request`.
            RuntimeError: As for `request`.
        """
        if not isinstance(line, bytes):
            raise TypeError(f"expected bytes as a request line, got {type(line).__name__}")
        if _LF in line or line[-1:] == b"\r":
            raise ValueError(f"expected a line without its end, got {line[-80:]!r}")
        if len(line) > self.limits.line:
            raise ValueError(f"expected at most {self.limits.line} bytes, got {len(line)}")
        if timeout is not self._checked_timeout:  # most callers pass the same object each time
            check_timeout(timeout, may_be_none=False)
            self._checked_timeout = timeout
        connection = self._connection
        if connection is None:
            self._check_loop()
            return False
        if not connection.unsent_lines:  # the first line of this turn
            self._check_loop()
        if (
            not connection.is_writable()
            or len(connection.pending) + self._waiting >= self.limits.requests_in_flight
        ):
            return False
        deadline = connection.loop.time() + timeout
        connection.send(line, receiver, deadline, timeout)
        return True

    def _check_loop(self) -> None:
        """Raise RuntimeError if the client has been used in another event loop.

        Called once for the lines of one turn: on Python 3.11, `get_running_loop` makes a system
        call.
        """
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None:
                raise RuntimeError(
                    f"the client of {self._name} belongs to another event loop; "
                    "use one client per loop"
                )
            self._loop = loop

    async def close(self) -> None:
        """Close the connection. Closing again has no effect.

        Requests in flight raise RequestLost, or ClientClosed if they were not sent yet.

        Raises:
            RuntimeError: The client has been used in another event loop.
        """
        self._check_loop()
        self._is_closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if self._connection is not None:
            connection = self._connection
            connection.close_with_client()
            await asyncio.shield(connection.ended)

    async def _ready(self, deadline: float, timeout: float) -> LineClientConnection:
        """Wait for a connection that accepts a request."""
        if self._is_closed:
            raise ClientClosed(f"the client of {self._name} is closed")
        if self.in_flight >= self.limits.requests_in_flight:
            raise TooManyRequests(self._name, self.limits.requests_in_flight)
        self._waiting += 1
        try:
            async with asyncio.timeout_at(deadline):
                while True:
                    connection = self._connection
                    if connection is None or connection.is_closing:
                        connection = await self._connected()
                    if connection.is_closing:
                        if self._is_closed:
                            raise ClientClosed(f"the client of {self._name} was closed")
                        raise ConnectFailed(self._name, connection.reason) from connection.fault
                    if connection.is_writable():
                        return connection
                    await connection.wait_writable()
        except TimeoutError as error:
            reason = f"the request could not be sent within {format_seconds(timeout)}"
            raise ConnectFailed(self._name, reason) from error
        finally:
            self._waiting -= 1

    async def _connected(self) -> LineClientConnection:
        """Wait for the current attempt to connect, or begin one."""
        attempt = self._connecting
        if attempt is None:
            attempt = asyncio.get_running_loop().create_task(self._connect(), context=self._context)
            attempt.add_done_callback(self._connect_done)
            self._connecting = attempt
        try:
            return await asyncio.shield(attempt)
        except asyncio.CancelledError:
            if attempt.cancelled():  # the attempt, not the caller
                raise ClientClosed(f"the client of {self._name} was closed") from None
            raise

    async def _connect(self) -> LineClientConnection:
        budget = self.limits.connect_timeout
        wait = self._not_before - time.monotonic()
        if wait >= budget:
            reason = f"{self._last_reason}; next attempt in {wait:.1f} s"
            raise ConnectFailed(self._name, reason) from self._last_fault
        if wait > 0:
            await asyncio.sleep(wait)
            budget -= wait
        try:
            return await connect(
                self.endpoint,
                lambda: LineClientConnection(self._name, self.limits, self._connection_closed),
                timeout=budget,
                tls=self._tls,
                trusted_uids=self._trusted_uids,
            )
        except ConnectFailed as error:
            self._last_reason, self._last_fault = error.reason, error.__cause__
            self._back_off()
            raise

    def _connect_done(self, task: asyncio.Task[LineClientConnection]) -> None:
        self._connecting = None
        if not task.cancelled() and task.exception() is None:
            self._connection = task.result()

    def _connection_closed(self, connection: LineClientConnection) -> None:
        if self._connection is connection:
            self._connection = None
        if connection.replies:
            self._failures = 0
        else:
            # A peer that accepts a connection and closes it without a reply counts as down.
            self._last_reason, self._last_fault = connection.reason, connection.fault
            self._back_off()

    def _back_off(self) -> None:
        from random import uniform  # noqa: PLC0415 (connections rarely fail)

        wait = min(self.limits.backoff, self.limits.first_backoff * 2**self._failures)
        self._failures = min(self._failures + 1, 30)
        # Half of the wait is random, so that many clients don't reconnect at the same moment.
        self._not_before = time.monotonic() + wait * uniform(0.5, 1)  # noqa: S311
