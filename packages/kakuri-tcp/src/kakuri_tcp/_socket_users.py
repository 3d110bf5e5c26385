"""Users of sockets on this machine, as reported by the kernel.

The peer of a Unix socket has credentials (unix(7)). The peer of a connection over loopback is a
socket of this machine, so the kernel can be asked for its owner (sock_diag(7), struct
inet_diag_req_v2), which takes a few microseconds and no privilege.
"""

import errno
import os
import socket
import struct
from typing import Any

_SOCK_DIAG_BY_FAMILY = 20
_NETLINK_SOCK_DIAG = 4
_REQUEST_FLAG = 1  # NLM_F_REQUEST of netlink(7)
_ANY_STATE = 0xFFFFFFFF
_LOOPBACK_INTERFACE = struct.pack("=I", 1)  # in every network namespace
_NO_COOKIE = b"\xff" * 8

# Errors of socket() and send() if the kernel lacks these diagnostics or a sandbox forbids them. Any
# other error, such as too many open files, must not make a user count as unknown.
_UNSUPPORTED = {
    errno.EACCES, errno.EAFNOSUPPORT, errno.EPERM, errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT,
}  # fmt: skip

_IPV4 = 4  # bytes
_IPV4_MAPPED = bytes(10) + b"\xff\xff"
_LOOPBACK_NETWORK = 127  # 127.0.0.0/8
_LOOPBACK_IPV6 = bytes(15) + b"\1"

_CREDENTIALS = struct.Struct("3i")  # struct ucred of unix(7)
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_REQUEST = struct.Struct("=BBBBI")  # family, protocol, extensions, padding, states
_PORTS = struct.Struct("!HH")
_ERROR = struct.Struct("=i")  # negative, after the header

# The answer, struct inet_diag_msg: family, state, timer and retransmissions, a byte each; the id of
# the socket, struct inet_diag_sockid, which begins with its ports; three counters; then the user
# and the inode.
_ANSWER = struct.Struct("=4x4s44x12xII")


def is_loopback(host: str) -> bool:
    """Return whether a host, as getpeername(2) returns it, is this machine's loopback."""
    address = _packed(host)
    return address[0] == _LOOPBACK_NETWORK if len(address) == _IPV4 else address == _LOOPBACK_IPV6


def unix_credentials(connected: socket.socket) -> tuple[int, int, int] | None:
    """Return process, user and group of a Unix socket's peer; None if the system reports none."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(raw)
    return pid, uid, gid


def server_user(connected: socket.socket) -> int | None:
    """Return the user who serves the other end of a connection over loopback.

    That is the owner of the accepted socket. While the connection waits to be accepted, it is the
    owner of the listening socket, because no other process can accept it.

    Returns:
        The user; None if the server has closed its sockets, or if `knows_users` is false.

    Raises:
        OSError: The kernel could not be asked, or the server has reset the connection.
    """
    server, client = connected.getpeername(), connected.getsockname()
    accepted = _user(server, client)
    return _user(server) if accepted is None else accepted


def client_user(accepted: socket.socket) -> int | None:
    """Return the user whose process opened a connection over loopback.

    Returns:
        The user; None if the process has closed its socket, or if `knows_users` is false.

    Raises:
        OSError: The kernel could not be asked, or the client has reset the connection.
    """
    return _user(accepted.getpeername(), accepted.getsockname())


def knows_users() -> bool:
    """Return whether the kernel reports users of sockets at all; tried on a socket of this process.

    Raises:
        OSError: The kernel could not be asked.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as own:
        own.bind(("127.0.0.1", 0))
        own.listen(1)
        return _user(own.getsockname()) is not None


def _user(local: tuple[Any, ...], remote: tuple[Any, ...] | None = None) -> int | None:
    """Return the owner of a socket; None if it does not exist or no process owns it.

    Args:
        local: The socket's own address.
        remote: The address that it is connected to; None for a socket that listens.

    Raises:
        OSError: The kernel could not be asked, for example because no descriptor is left.
    """
    if not hasattr(socket, "AF_NETLINK"):  # only Linux has it
        return None
    source = _packed(local[0])
    destination, remote_port = (b"", 0) if remote is None else (_packed(remote[0]), remote[1])
    ports = _PORTS.pack(local[1], remote_port)
    family = socket.AF_INET if len(source) == _IPV4 else socket.AF_INET6
    request = (
        _REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, _ANY_STATE)
        + ports
        + source.ljust(16, b"\0")
        + destination.ljust(16, b"\0")
        + _LOOPBACK_INTERFACE  # without it, sockets of SO_BINDTODEVICE are not found
        + _NO_COOKIE
    )
    header = _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _REQUEST_FLAG, 0, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
            kernel.send(header + request)
            answer = kernel.recv(1024, socket.MSG_DONTWAIT)  # the kernel answers within send()
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return None
        raise
    if _HEADER.unpack_from(answer)[1] != _SOCK_DIAG_BY_FAMILY:
        number = -_ERROR.unpack_from(answer, _HEADER.size)[0]
        if number == errno.ENOENT:  # there is no such socket
            return None
        raise OSError(number, os.strerror(number))
    found, user, inode = _ANSWER.unpack_from(answer, _HEADER.size)
    if found != ports:
        return None  # the kernel continues with sockets that listen at the local address
    return int(user) if inode else None  # without an inode, no process has the socket


def _packed(host: str) -> bytes:
    """Return the bytes of an address, 4 or 16; the kernel looks up IPv4-mapped ones as IPv4."""
    host = host.partition("%")[0]
    if ":" not in host:
        return socket.inet_pton(socket.AF_INET, host)
    address = socket.inet_pton(socket.AF_INET6, host)
    return address.removeprefix(_IPV4_MAPPED)
