"""A proxy on the loopback interface that simulates network faults."""

import asyncio
import socket
import struct
from collections import deque
from dataclasses import dataclass
from typing import Self

from kakuri_tcp._connect import connect
from kakuri_tcp._connection import Connection
from kakuri_tcp._endpoint import Endpoint
from kakuri_tcp._errors import ConnectFailed, ConnectionFault
from kakuri_tcp._server import Server, listen

_CONNECT_TIMEOUT = 5.0
# Bytes in flight in one direction before the sender has to wait, like the buffers of a network.
_IN_TRANSIT = 262_144


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The faults that a FaultProxy applies in both directions.

    Attributes:
        latency: Seconds by which every byte is delayed.
        size: Maximum size in bytes of a piece; each piece is sent separately.
        bandwidth: Bytes per second.
        black_hole: Drop all bytes, and keep the connections open.
    """

    latency: float = 0.0
    size: int | None = None
    bandwidth: float | None = None
    black_hole: bool = False


class FaultProxy:
    """A proxy for an endpoint, with faults that can be changed at any time.

        async with FaultProxy(server.endpoint) as proxy, LineClient(proxy.endpoint) as client:
            proxy.faults = Faults(latency=0.1)

    Attributes:
        endpoint: The endpoint to connect to, valid inside the `async with` block.
        faults: The faults from now on.
    """

    def __init__(self, upstream: Endpoint | str, faults: Faults = Faults()) -> None:
        """Create a proxy in front of `upstream`."""
        self.upstream: Endpoint = Endpoint.of(upstream)
        self.faults = faults
        self.endpoint: Endpoint = Endpoint.tcp("127.0.0.1", 0)
        self._server: Server | None = None
        self._sides: set[_Side] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await listen(self.endpoint, lambda: _Side(self))
        self.endpoint = self._server.endpoint
        return self

    async def __aexit__(self, *error: object) -> None:
        try:
            await self.refuse()
        finally:  # even if the caller is cancelled
            for task in self._tasks:
                task.cancel()
            ended = [side.ended for side in self._sides]
            for side in list(self._sides):
                side.abort()
        if ended:
            await asyncio.wait(ended)

    @property
    def connections(self) -> int:
        """The number of open connections of clients."""
        return sum(side.is_client for side in self._sides)

    async def refuse(self) -> None:
        """Stop listening and close all connections, as if the server process had ended."""
        if self._server is not None:
            await self._server.close()
            self._server = None

    def reset(self) -> None:
        """Reset every connection in both directions."""
        for side in list(self._sides):
            side.reset()

    def half_close(self) -> None:
        """Close the sending side towards the clients; the other direction stays open."""
        for side in list(self._sides):
            if side.is_client:
                side.end()

    def side_opened(self, side: "_Side") -> None:
        """Record an open side, and connect a client's to the upstream."""
        self._sides.add(side)
        if side.other is None:
            task = asyncio.get_running_loop().create_task(self._connect(side))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def side_closed(self, side: "_Side") -> None:
        """Remove a closed side."""
        self._sides.discard(side)

    async def _connect(self, client: "_Side") -> None:
        try:
            await connect(self.upstream, lambda: _Side(self, client), timeout=_CONNECT_TIMEOUT)
        except ConnectFailed:
            client.reset()


class _Side(Connection):
    """One of two joined connections."""

    def __init__(self, proxy: FaultProxy, other: "_Side | None" = None) -> None:
        super().__init__()
        self.other = other
        self.is_client: bool = other is None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._proxy = proxy
        self._loop = asyncio.get_running_loop()
        # Pieces to this side's peer, with their time of arrival; None is the end of the stream.
        self._transit: deque[tuple[float, bytes | None]] = deque()
        self._transit_size = 0
        self._early: list[bytes] = []  # received before the upstream was connected
        self._free_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._is_ended = False

    def opened(self) -> None:
        self._proxy.side_opened(self)
        if self.other is None:
            self.pause_reading()
        elif self.other.is_closing:  # the proxy has reset it meanwhile
            self.reset()
        else:
            self.other.join(self)

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self._early.append(data)
        elif not self._proxy.faults.black_hole:
            self.other.send_later(data)

    def receive_eof(self) -> None:
        if self.other is not None and not self._proxy.faults.black_hole:
            self.other.send_later(None)
        if self._is_ended:
            self.close()

    def closed(self, fault: ConnectionFault | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._proxy.side_closed(self)
        self.ended.set_result(None)
        if self.other is not None and not self.other.is_closing:
            if fault is not None:
                self.other.reset()
            elif not self._proxy.faults.black_hole:
                self.other.send_later(None)

    def sweep(self, now: float) -> None:
        self.made_progress = True  # the proxy itself has no timeouts
        super().sweep(now)

    def join(self, upstream: "_Side") -> None:
        """Forward to `upstream` from now on, beginning with what was received before."""
        self.other = upstream
        for data in self._early:
            self.data_received(data)
        self._early.clear()
        self.resume_reading()

    def send_later(self, data: bytes | None) -> None:
        """Send data, or the end of the stream, to this side's peer, subject to the faults."""
        faults = self._proxy.faults
        now = self._loop.time()
        width = faults.size or max(len(data or b""), 1)
        for start in range(0, len(data or b"x"), width):
            piece = data[start : start + width] if data is not None else None
            if faults.bandwidth is not None and piece is not None:
                self._free_at = max(self._free_at, now) + len(piece) / faults.bandwidth
            self._transit.append((max(self._free_at, now) + faults.latency, piece))
        self._transit_size += len(data or b"")
        if self._transit_size > _IN_TRANSIT and self.other is not None:
            self.other.pause_reading()
        if self._timer is None:
            self._forward_due()

    def end(self) -> None:
        """End the stream to this side's peer."""
        if self._transport is not None and not self._is_ended and not self.is_closing:
            self._is_ended = True
            try:
                self._transport.write_eof()
            except OSError:  # the peer has reset the connection
                self.abort()
                return
            if self.has_eof:
                self.close()

    def reset(self) -> None:
        """Reset the connection to this side's peer."""
        if self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.abort()

    def _forward_due(self) -> None:
        """Send the next piece that is due, one per turn of the loop so that it is sent alone."""
        self._timer = None
        if self._transit and self._transit[0][0] <= self._loop.time() and not self.is_closing:
            piece = self._transit.popleft()[1]
            if piece is None:
                self.end()
            elif not self._is_ended:
                self._transit_size -= len(piece)
                self.write(piece)
                if self._transit_size <= _IN_TRANSIT // 2 and self.other is not None:
                    self.other.resume_reading()
        if self._transit and not self.is_closing:
            delay = max(0.0, self._transit[0][0] - self._loop.time())
            self._timer = self._loop.call_later(delay, self._forward_due)

    def writing_paused(self) -> None:
        if self.other is not None:
            self.other.pause_reading()

    def writing_resumed(self) -> None:
        if self.other is not None:
            self.other.resume_reading()
