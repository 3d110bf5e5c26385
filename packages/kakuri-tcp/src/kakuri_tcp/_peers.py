"""Identity of the other end: peers of a server by address or user, Unix servers by user."""

import errno
import functools
import ipaddress
import os
import socket
import struct
from collections.abc import Collection
from dataclasses import dataclass

from kakuri_tcp._errors import UntrustedServer
from kakuri_tcp._socket_users import is_loopback, knows_users, server_user


@dataclass(frozen=True, slots=True)
class Credentials:
    """The process at the other end of a Unix socket, as recorded by the kernel."""

    pid: int
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of an accepted socket.

    Attributes:
        key: Equal for all sockets that count as one peer: an IPv4 address, an IPv6 /64 (the usual
            network of one subscriber, RFC 6177), or a local user. Every local process may use all
            of 127.0.0.0/8, so the loopback addresses of both families are one peer.
        text: For logs.
        credentials: Of a Unix socket, if the system has them.
        is_loopback: Whether it connected to a port of this machine over loopback.
    """

    key: str
    text: str
    credentials: Credentials | None = None
    is_loopback: bool = False


def identify(accepted: socket.socket, address: object) -> Peer:
    """Return the peer of an accepted socket; `address` is the one that accept() returned."""
    match address:
        case (str(host), int(port), *_):
            if is_loopback(host):
                text = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
                return Peer("loopback", text, is_loopback=True)
            ip = ipaddress.ip_address(host)
            if isinstance(ip, ipaddress.IPv6Address):
                return Peer(ip.packed[:8].hex(), f"[{host}]:{port}")
            return Peer(host, f"{host}:{port}")
    found = credentials_of(accepted)
    if found is None:
        return Peer("unix", "unix")
    return Peer(f"uid={found.uid}", f"unix:pid={found.pid},uid={found.uid}", found)


def check_server(
    connected: socket.socket, endpoint: str, trusted_uids: Collection[int] | None
) -> None:
    """Check that a server of this machine runs as root, as this user or as a trusted one.

    Any user who may create files in a Unix socket's directory can put a server there, and any user
    can listen on a port that is free. The kernel records the user of both, so that a server can't
    forge it. What the system doesn't report is not checked, nor are servers elsewhere.

    Args:
        connected: The client's socket.
        endpoint: The endpoint, for the error.
        trusted_uids: Users whose servers are trusted besides root and the user of this process;
            None to check only servers of Unix sockets.

    Raises:
        UntrustedServer: The server runs as another user.
        OSError: The server has closed the connection, or the kernel could not be asked.
    """
    uid: int | None = None
    if connected.family == socket.AF_UNIX:
        server = credentials_of(connected)
        uid = None if server is None else server.uid
    elif trusted_uids is not None and is_loopback(connected.getpeername()[0]):
        uid = server_user(connected)
        if uid is None:
            if knows_users():  # its socket is gone
                raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
            _warn_of_unchecked_servers()
    if uid is not None and uid not in {0, os.geteuid(), *(trusted_uids or ())}:
        raise UntrustedServer(endpoint, uid)


@functools.cache  # once
def _warn_of_unchecked_servers() -> None:
    import logging  # noqa: PLC0415 (commands of blocking sockets pay for what they need)

    logging.getLogger("kakuri_tcp").warning(
        "the kernel doesn't report the users of servers on loopback, so a server of another user "
        "of this machine can't be recognized"
    )


def credentials_of(connected: socket.socket) -> Credentials | None:
    """Return the credentials of a Unix socket's peer; None if the system has none."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    size = struct.calcsize("3i")  # struct ucred of unix(7)
    raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return Credentials(*struct.unpack("3i", raw))
