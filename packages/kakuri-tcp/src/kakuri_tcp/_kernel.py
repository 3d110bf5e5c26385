"""Kernel state of a socket: unsent and received bytes, and a reset on close."""

import array
import fcntl
import os
import socket
import struct
import termios
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import asyncio  # not imported for blocking connections

_BYTES_ACKED = 120  # where tcpi_bytes_acked is in struct tcp_info of linux/tcp.h


class Outstanding(NamedTuple):
    """A measurement of what was written to a connection.

    Attributes:
        unreceived: Bytes that the peer has not received.
        received: Bytes that it has received; 0 if the system does not report them.
    """

    unreceived: int
    received: int

    def has_progressed_since(self, earlier: "Outstanding | None") -> bool:
        """Return whether the peer has read something since an earlier measurement, if any."""
        return earlier is not None and (
            self.unreceived < earlier.unreceived or self.received > earlier.received
        )


def outstanding(transport: "asyncio.Transport | None") -> Outstanding:
    """Measure a transport; nothing is outstanding for None."""
    if transport is None:
        return Outstanding(0, 0)
    queued, received = outstanding_on(transport.get_extra_info("socket"))
    return Outstanding(transport.get_write_buffer_size() + queued, received)


def outstanding_on(connected: Any) -> Outstanding:
    """Measure a socket, or asyncio's TransportSocket; nothing is outstanding for None."""
    if connected is None:
        return Outstanding(0, 0)
    return Outstanding(_unacknowledged(connected), _acknowledged(connected))


def _unacknowledged(connected: Any) -> int:
    """Return how many bytes are in the kernel's send queue; 0 if the socket is closed.

    SIOCOUTQ of tcp(7) and unix(7), which has the number of TIOCOUTQ.
    """
    size = array.array("i", [0])
    if connected.fileno() >= 0:
        try:
            fcntl.ioctl(connected.fileno(), termios.TIOCOUTQ, size)
        except OSError:  # closed, or a kind without this queue
            return 0
    return size[0]


def _acknowledged(connected: Any) -> int:
    """Return how many bytes the peer's kernel has acknowledged on this connection.

    tcpi_bytes_acked of tcp(7); it shows progress despite buffers above the kernel, such as
    those of TLS. 0 if the kernel does not report it.
    """
    if connected.family not in {socket.AF_INET, socket.AF_INET6}:
        return 0
    try:
        with socket.socket(fileno=os.dup(connected.fileno())) as own:
            info = own.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED + 8)
    except OSError:
        return 0
    if len(info) < _BYTES_ACKED + 8:
        return 0
    (size,) = struct.unpack_from("=Q", info, _BYTES_ACKED)
    return int(size)


def hides_unsent_data(transport: "asyncio.BaseTransport") -> bool:
    """Return whether a TLS transport holds unsent data that its write buffer does not show.

    The buffer of the transport is empty once the data is encrypted. Many peers accept a stream that
    ends without close_notify (SSL_OP_IGNORE_UNEXPECTED_EOF, which Python sets), and would not
    notice the truncation.
    """
    connected = transport.get_extra_info("socket")
    is_tls = transport.get_extra_info("sslcontext") is not None
    return is_tls and connected is not None and _unacknowledged(connected) > 0


def reset_on_close(transport: "asyncio.BaseTransport") -> None:
    """Make the system send a reset when the socket is closed (SO_LINGER of socket(7)).

    Unix sockets have no reset: their peer sees the end of the stream.
    """
    descriptor = _descriptor(transport)
    if descriptor < 0:
        return
    try:
        owner = socket.socket(fileno=os.dup(descriptor))
    except OSError:
        return
    with owner:
        owner.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _descriptor(transport: "asyncio.BaseTransport") -> int:
    found = transport.get_extra_info("socket")
    return -1 if found is None else int(found.fileno())
