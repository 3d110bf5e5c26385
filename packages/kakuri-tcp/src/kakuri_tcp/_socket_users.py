"""Users of TCP sockets on this machine, from the kernel's socket diagnostics.

The kernel is asked for one socket at a time (sock_diag(7), struct inet_diag_req_v2), which takes a
few microseconds and no privilege. The other end of a connection over loopback is such a socket.
"""

import errno
import ipaddress
import socket
import struct

_SOCK_DIAG_BY_FAMILY = 20
_NETLINK_SOCK_DIAG = 4
_REQUEST_FLAG = 1  # NLM_F_REQUEST of netlink(7)
_ANY_STATE = 0xFFFFFFFF
_NO_COOKIE = b"\xff" * 8

# What socket() and send() raise without these diagnostics, or where a sandbox forbids them. Any
# other error, such as one of too many open files, must not make a user unknown.
_UNSUPPORTED = {
    errno.EACCES, errno.EAFNOSUPPORT, errno.ENOENT, errno.EPERM, errno.EPROTONOSUPPORT,
}  # fmt: skip

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_REQUEST = struct.Struct("=BBBBI")  # family, protocol, extensions, padding, states
_PORTS = struct.Struct("!HH")
_USER = struct.Struct("=II")  # user and inode, at this place of the answer
_USER_OFFSET = _HEADER.size + 4 + 48 + 12

Address = tuple[str, int]
"""Host and port, without the flow and the scope of IPv6."""

_ANYWHERE = {socket.AF_INET: ("0.0.0.0", 0), socket.AF_INET6: ("::", 0)}  # noqa: S104 (a pattern)


def is_loopback(host: str) -> bool:
    """Return whether a host, as getpeername(2) returns it, is this machine's loopback."""
    ip = ipaddress.ip_address(host.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback


def server_user(connected: socket.socket) -> int | None:
    """Return the user who serves the other end of a connection over loopback.

    That is the owner of the socket that was accepted, or while it waits to be accepted, of the
    socket that listens: no other process can accept it.

    Returns:
        The user; None if the kernel doesn't know, for example because it has no diagnostics.

    Raises:
        OSError: The kernel can't be asked at the moment, or the connection was lost.
    """
    server, client = _address(connected.getpeername()), _address(connected.getsockname())
    accepted = _user(connected.family, server, client)
    return _user(connected.family, server) if accepted is None else accepted


def client_user(accepted: socket.socket) -> int | None:
    """Return the user whose process opened a connection over loopback.

    Returns:
        The user; None if the process has closed its socket, or if the kernel doesn't know.

    Raises:
        OSError: The kernel can't be asked at the moment, or the connection was lost.
    """
    client, server = _address(accepted.getpeername()), _address(accepted.getsockname())
    return _user(accepted.family, client, server)


def knows_users(listener: socket.socket) -> bool:
    """Return whether the kernel reports users of sockets, which not every kernel does.

    Args:
        listener: A socket of this process that listens.

    Raises:
        OSError: The kernel can't be asked at the moment.
    """
    return _user(listener.family, _address(listener.getsockname())) is not None


def _address(address: tuple[str, int, int, int] | tuple[str, int]) -> Address:
    return address[0].partition("%")[0], address[1]


def _user(family: int, local: Address, remote: Address | None = None) -> int | None:
    """Return the owner of a socket; None if there is no such socket, or no process has it.

    Args:
        family: AF_INET or AF_INET6.
        local: The socket's own address.
        remote: The address that it is connected to; None for a socket that listens.

    Raises:
        OSError: The kernel can't be asked at the moment.
    """
    remote = remote or _ANYWHERE[socket.AddressFamily(family)]
    addresses = [socket.inet_pton(family, host).ljust(16, b"\0") for host, _ in (local, remote)]
    request = (
        _REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, _ANY_STATE)
        + _PORTS.pack(local[1], remote[1])
        + b"".join(addresses)
        + b"\0\0\0\0"  # any interface
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
    if len(answer) < _USER_OFFSET + _USER.size:
        return None
    if _HEADER.unpack_from(answer)[1] != _SOCK_DIAG_BY_FAMILY:
        return None  # an error: there is no such socket
    user, inode = _USER.unpack_from(answer, _USER_OFFSET)
    return int(user) if inode else None  # without an inode, no process has the socket
