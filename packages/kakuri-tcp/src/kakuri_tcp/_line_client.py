"""Request and reply, one line each: the client's side.

One connection carries all requests. Those of one turn of the event loop leave in one write; the
replies come in the same order, so the oldest request without a reply owns the next line. A request
whose caller gave up keeps its place: its reply is dropped when it comes, and never becomes the
answer to another request.
"""

import asyncio
import random
import time
from collections.abc import Collection
from typing import Self

from kakuri_tcp._connect import connect, tls_for
from kakuri_tcp._endpoint import Endpoint
from kakuri_tcp._errors import ClientClosed, ConnectFailed, TooManyRequests, format_seconds
from kakuri_tcp._limits import DEFAULT_LINE_CLIENT_LIMITS, LineClientLimits, check_type
from kakuri_tcp._line_client_connection import LineClientConnection
from kakuri_tcp._tls import ClientTLS

REQUEST_TIMEOUT = 5.0
"""Seconds for a request and its reply, by default."""


class LineClient:
    """Sends request lines to one peer over one connection and gives back the reply lines.

    It connects when the first request is made, and again after the connection was lost. It never
    repeats a request. Use it in one event loop, as an async context manager or with `close`.

    Attributes:
        endpoint: the peer.
        limits: of this client.

    """

    def __init__(
        self,
        endpoint: Endpoint | str,
        *,
        limits: LineClientLimits | None = None,
        tls: ClientTLS | None = None,
        trusted_uids: Collection[int] = (),
    ) -> None:
        """Make a client of the peer at `endpoint`; nothing is sent yet.

        Args:
            endpoint: where to connect.
            limits: of this client; None for the default ones.
            tls: for the scheme "tls", whom to trust and who to be.
            trusted_uids: for the scheme "unix", users whose servers are trusted besides root and
                the user of this process.

        Raises:
            TLSSettingsError: a file of the TLS settings can't be used.
            EndpointError: there are TLS settings, and the endpoint is not one of TLS.

        """
        endpoint = Endpoint.of(endpoint)
        tls_for(endpoint, tls)
        limits = DEFAULT_LINE_CLIENT_LIMITS if limits is None else limits
        check_type("limits", limits, LineClientLimits)
        self.endpoint: Endpoint = endpoint
        self.limits = limits
        self._name = str(endpoint)
        self._tls = tls
        self._trusted_uids = frozenset(trusted_uids)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._link: LineClientConnection | None = None
        self._connecting: asyncio.Task[LineClientConnection] | None = None
        self._waiting = 0
        self._failures = 0
        self._not_before = 0.0
        self._last_reason = ""
        self._is_closed = False

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
        """Whether a connection stands at this moment."""
        return self._link is not None and not self._link.is_closing

    @property
    def in_flight(self) -> int:
        """How many requests hold a place: without a reply, or waiting to be sent."""
        return self._waiting + (len(self._link.pending) if self._link is not None else 0)

    async def request(self, line: bytes, *, timeout: float = REQUEST_TIMEOUT) -> bytes:
        """Send a line and give the line that answers it.

        Args:
            line: the request, without its end and without a line feed.
            timeout: seconds for everything; it may be noticed up to 20 ms late.

        Raises:
            RequestNotSent: nothing was sent (ConnectFailed, TooManyRequests, ClientClosed).
            RequestLost: it was sent, and the connection ended before the reply.
            RequestTimeout: it was sent, and no reply came in time.
            ValueError: the line is longer than the limit, contains a line feed, or ends with a
                carriage return.

        """
        if not isinstance(line, bytes):
            raise TypeError(f"expected bytes as a request line, got {type(line).__name__}")
        if b"\n" in line or line[-1:] == b"\r":
            raise ValueError(f"expected a line without its end, got {line[-80:]!r}")
        if len(line) > self.limits.line:
            raise ValueError(f"expected at most {self.limits.line} bytes, got {len(line)}")
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None:
                raise RuntimeError(
                    f"the client of {self._name} belongs to another event loop; "
                    "use one client per loop"
                )
            self._loop = loop
        deadline = loop.time() + timeout
        link = self._link
        if (
            link is None
            or link.is_closing
            or not link.is_writable
            or len(link.pending) + self._waiting >= self.limits.requests_in_flight
        ):
            link = await self._ready(deadline, timeout)
        return await link.send(line, deadline, timeout)

    async def close(self) -> None:
        """Close the connection; requests without a reply are lost. May be called again."""
        self._is_closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if self._link is not None:
            link = self._link
            link.abort()
            await asyncio.shield(link.ended)

    async def _ready(self, deadline: float, timeout: float) -> LineClientConnection:
        """Wait for a link that a request may be sent on."""
        if self._is_closed:
            raise ClientClosed(f"expected an open client, got one of {self._name} that was closed")
        if self.in_flight >= self.limits.requests_in_flight:
            raise TooManyRequests(self._name, self.limits.requests_in_flight)
        self._waiting += 1
        try:
            async with asyncio.timeout_at(deadline):
                while True:
                    link = self._link
                    if link is None or link.is_closing:
                        link = await self._connected()
                    if link.is_closing:
                        raise ConnectFailed(self._name, link.reason)
                    if link.is_writable:
                        return link
                    await link.wait_writable()
        except TimeoutError as error:
            reason = f"the request could not be sent within {format_seconds(timeout)}"
            raise ConnectFailed(self._name, reason) from error
        finally:
            self._waiting -= 1

    async def _connected(self) -> LineClientConnection:
        """Join the attempt to connect that is under way, or begin one."""
        attempt = self._connecting
        if attempt is None:
            attempt = asyncio.get_running_loop().create_task(self._connect())
            attempt.add_done_callback(self._connect_done)
            self._connecting = attempt
        try:
            return await asyncio.shield(attempt)
        except asyncio.CancelledError:
            if attempt.cancelled():  # and not the caller
                raise ClientClosed(f"the client of {self._name} was closed") from None
            raise

    async def _connect(self) -> LineClientConnection:
        budget = self.limits.connect_timeout
        wait = self._not_before - time.monotonic()
        if wait >= budget:
            raise ConnectFailed(self._name, f"{self._last_reason}; next attempt in {wait:.1f} s")
        if wait > 0:
            await asyncio.sleep(wait)
            budget -= wait
        try:
            return await connect(
                self.endpoint,
                lambda: LineClientConnection(self._name, self.limits, self._link_closed),
                timeout=budget,
                tls=self._tls,
                trusted_uids=self._trusted_uids,
            )
        except ConnectFailed as error:
            self._last_reason = error.reason
            self._back_off()
            raise

    def _connect_done(self, task: asyncio.Task[LineClientConnection]) -> None:
        self._connecting = None
        if not task.cancelled() and task.exception() is None:
            self._link = task.result()

    def _link_closed(self, link: LineClientConnection) -> None:
        if self._link is link:
            self._link = None
        if link.replies:
            self._failures = 0
            self._not_before = 0.0
        else:
            # It accepts and then breaks: as good as down.
            self._last_reason = link.reason
            self._back_off()

    def _back_off(self) -> None:
        wait = min(self.limits.backoff, self.limits.first_backoff * 2**self._failures)
        self._failures = min(self._failures + 1, 30)
        # Half of it is drawn, so that many clients of one peer don't come back as one.
        self._not_before = time.monotonic() + wait * random.uniform(0.5, 1)  # noqa: S311
