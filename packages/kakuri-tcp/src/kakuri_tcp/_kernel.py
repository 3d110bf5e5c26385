"""Kernel state of a transport's socket: bytes outstanding, and a reset on close."""

import array
import asyncio
import fcntl
import os
import socket
import struct
import termios

_BYTES_ACKED = 120  # where tcpi_bytes_acked is in struct tcp_info of linux/tcp.h


def outstanding(transport: asyncio.Transport | None) -> tuple[int, int]:
    """Return how many bytes the peer has not taken, and how many it has, as far as that is known.

    While the first falls or the second rises, the peer reads.
    """
    if transport is None:
        return 0, 0
    left = transport.get_write_buffer_size() + unacknowledged(transport)
    return left, acknowledged(transport)


def unacknowledged(transport: asyncio.BaseTransport) -> int:
    """Return how many bytes the kernel has of this side that the peer's kernel has not taken.

    SIOCOUTQ of tcp(7) and unix(7), which has the number of TIOCOUTQ. 0 where there is no socket.
    """
    descriptor = _descriptor(transport)
    size = array.array("i", [0])
    if descriptor >= 0:
        try:
            fcntl.ioctl(descriptor, termios.TIOCOUTQ, size)
        except OSError:  # closed, or of a kind that has no such queue
            return 0
    return size[0]


def acknowledged(transport: asyncio.BaseTransport) -> int:
    """Return how many bytes the peer's kernel has taken since the connection was made.

    tcpi_bytes_acked of tcp(7); it also shows progress that buffers between this side and the
    kernel hide, as those of TLS do. 0 where the kernel does not tell.
    """
    owner = transport.get_extra_info("socket")
    if owner is None or owner.family not in {socket.AF_INET, socket.AF_INET6}:
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


def hides_unsent_data(transport: asyncio.BaseTransport) -> bool:
    """Return whether a TLS transport may have passed on what has not been sent.

    Its write buffer ends where the encryption begins. Many peers take the end of the stream for
    an end even where no close_notify came (SSL_OP_IGNORE_UNEXPECTED_EOF, which Python sets).
    """
    return transport.get_extra_info("sslcontext") is not None and unacknowledged(transport) > 0


def reset_on_close(transport: asyncio.BaseTransport) -> None:
    """Make a TCP connection end with a reset when its socket is closed (SO_LINGER of socket(7)).

    A Unix socket has no reset: its peer sees the end of the stream.
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


def _descriptor(transport: asyncio.BaseTransport) -> int:
    found = transport.get_extra_info("socket")
    return -1 if found is None else int(found.fileno())
