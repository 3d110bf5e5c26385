"""A transport without a socket, for one protocol or two connected ones under test."""

import asyncio


class MemoryTransport(asyncio.Transport):
    """A transport whose other end is the test, or another MemoryTransport.

        transport = MemoryTransport(protocol)
        transport.feed(b"hello")             # the peer sends
        assert transport.take() == b"HELLO"  # the peer reads

    Data that is fed while reading is paused is buffered, as the kernel would buffer it.

    Attributes:
        protocol: The current protocol.
        has_eof: Whether the protocol has ended its stream.
    """

    def __init__(self, protocol: asyncio.Protocol) -> None:
        """Connect `protocol`, and call its `connection_made`."""
        super().__init__()
        self.protocol: asyncio.Protocol = protocol
        self._is_reading = True
        self.has_eof: bool = False
        self._loop = asyncio.get_running_loop()
        self._high = 65_536
        self._low = 16_384
        self._buffer = bytearray()  # written, and not read by the peer
        self._incoming = bytearray()  # fed, and not delivered
        self._eof_fed = False
        self._eof_received = False
        self._is_closing = False
        self._is_lost = False
        self._is_writing_paused = False
        self._peer: MemoryTransport | None = None
        protocol.connection_made(self)

    # The peer's side

    def feed(self, data: bytes) -> None:
        """Send data to the protocol; delivered at once if it is reading."""
        self._incoming += data
        self._deliver()

    def feed_eof(self) -> None:
        """End the peer's stream."""
        self._eof_fed = True
        self._deliver()

    def take(self, size: int | None = None) -> bytes:
        """Read what the protocol wrote, at most `size` bytes."""
        taken = bytes(self._buffer[:size])
        del self._buffer[: len(taken)]
        if self._is_writing_paused and len(self._buffer) <= self._low:
            self._is_writing_paused = False
            self.protocol.resume_writing()
        if self._is_closing and not self._buffer:
            self._lose(None)
        return taken

    def lose(self, error: Exception | None) -> None:
        """Break the connection with the error that the system would report."""
        self._is_closing = True
        self._buffer.clear()
        self._lose(error)

    def join(self, peer: "MemoryTransport") -> None:
        """Connect another transport as the peer."""
        self._peer = peer
        self._loop.call_soon(self.pass_on)

    def pass_on(self) -> None:
        """Pass written data to the peer, if it is reading."""
        peer = self._peer
        if peer is None or peer.is_closing():
            return
        if peer.is_reading() and self._buffer:
            peer.feed(self.take())
        if not self._buffer and (self.has_eof or self._is_lost):
            peer.feed_eof()

    # The interface of asyncio.Transport

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes that the peer has not read."""
        return len(self._buffer)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low and the high limit."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the buffer sizes at which writing pauses and resumes."""
        self._high = 65_536 if high is None else high
        self._low = self._high // 4 if low is None else low

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write data to the peer."""
        if self.has_eof:
            raise RuntimeError("write() was called after write_eof()")
        if self._is_closing:
            return
        self._buffer += data
        if not self._is_writing_paused and len(self._buffer) > self._high:
            self._is_writing_paused = True
            self.protocol.pause_writing()
        self._loop.call_soon(self.pass_on)

    def can_write_eof(self) -> bool:
        """Return True: the protocol can close its sending side alone."""
        return True

    def write_eof(self) -> None:
        """End the protocol's stream."""
        self.has_eof = True
        self._loop.call_soon(self.pass_on)

    def pause_reading(self) -> None:
        """Stop delivering data."""
        self._is_reading = False

    def resume_reading(self) -> None:
        """Deliver data again, from the next turn of the loop on."""
        self._is_reading = True
        self._loop.call_soon(self._deliver)
        if self._peer is not None:
            self._loop.call_soon(self._peer.pass_on)

    def is_reading(self) -> bool:
        """Return whether reading is not paused."""
        return self._is_reading

    def is_closing(self) -> bool:
        """Return whether the transport is closing or closed."""
        return self._is_closing

    def close(self) -> None:
        """Close when the peer has read everything."""
        self._is_closing = True
        if not self._buffer:
            self._lose(None)
        self._loop.call_soon(self.pass_on)

    def abort(self) -> None:
        """Close at once."""
        self.lose(None)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Replace the protocol."""
        assert isinstance(protocol, asyncio.Protocol)
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the current protocol."""
        return self.protocol

    def _deliver(self) -> None:
        if not self._is_reading or self._is_closing:
            return
        if self._incoming:
            data = bytes(self._incoming)
            self._incoming.clear()
            self.protocol.data_received(data)
        if self._eof_fed and not self._eof_received and self.is_reading() and not self._is_closing:
            self._eof_received = True
            if not self.protocol.eof_received():
                self.close()

    def _lose(self, error: Exception | None) -> None:
        if not self._is_lost:
            self._is_lost = True
            self._loop.call_soon(self.protocol.connection_lost, error)
            self._loop.call_soon(self.pass_on)


def pair(
    first: asyncio.Protocol, second: asyncio.Protocol
) -> tuple[MemoryTransport, MemoryTransport]:
    """Connect two protocols with each other, and return their transports."""
    one, other = MemoryTransport(first), MemoryTransport(second)
    one.join(other)
    other.join(one)
    return one, other
