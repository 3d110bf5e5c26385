"""Kernel state of a transport's socket: unsent bytes, and a reset on close."""

import array
import fcntl
import os
import socket
import struct
import termios
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio  # the blocking connections work without it

_BYTES_ACKED = 120  # where tcpi_bytes_acked is in struct tcp_info of linux/tcp.h


def outstanding(transport: "asyncio.Transport | None") -> tuple[int, int]:
    """Return how many bytes the peer has not received, and how many it has, if that is known.

    While the first falls or the second rises, the peer reads.
    """
    if transport is None:
        return 0, 0
    queued, received = outstanding_on(transport.get_extra_info("socket"))
    return transport.get_write_buffer_size() + queued, received


def outstanding_on(owner: Any) -> tuple[int, int]:
    """Return the same of a socket, or of what a transport has as its socket; (0, 0) for None."""
    return (0, 0) if owner is None else (_unacknowledged(owner), _acknowledged(owner))


def _unacknowledged(owner: Any) -> int:
    """Return how many bytes are in the kernel's send queue.

    SIOCOUTQ of tcp(7) and unix(7), which has the number of TIOCOUTQ. 0 if there is no socket.
    """
    size = array.array("i", [0])
    if owner.fileno() >= 0:
        try:
            fcntl.ioctl(owner.fileno(), termios.TIOCOUTQ, size)
        except OSError:  # closed, or a kind without this queue
            return 0
    return size[0]


def _acknowledged(owner: Any) -> int:
    """Return how many bytes the peer's kernel has acknowledged on this connection.

    tcpi_bytes_acked of tcp(7); it shows progress despite buffers above the kernel, such as
    those of TLS. 0 if the kernel does not report it.
    """
    if owner.family not in {socket.AF_INET, socket.AF_INET6}:
        return 0
    try:
        with socket.socket(fileno=os.dup(owner.fileno())) as own:
            info = own.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED + 8)
    except OSError:
        return 0
    if len(info) < _BYTES_ACKED + 8:
        return 0
    (size,) = struct.unpack_from("=Q", info, _BYTES_ACKED)
    return int(size)


def hides_unsent_data(transport: "asyncio.BaseTransport") -> bool:
    """Return whether a TLS transport holds unsent data that its write buffer does not show.

    The buffer of the transport is empty once the data is encrypted. Many peers accept the end of
    the stream without close_notify (SSL_OP_IGNORE_UNEXPECTED_EOF, which Python sets), and would
    not notice that something is missing.
    """
    owner = transport.get_extra_info("socket")
    is_tls = transport.get_extra_info("sslcontext") is not None
    return is_tls and owner is not None and _unacknowledged(owner) > 0


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
