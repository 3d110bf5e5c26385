"""Who is at the other end of an accepted socket: what it is counted by, and its text for logs."""

import ipaddress
import socket
import struct
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who is at the other end of a Unix socket, as the kernel noted it when it connected."""

    pid: int
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of an accepted socket.

    Attributes:
        key: the same for all that count as one peer: an IPv4 address, an IPv6 /64 (what one
            subscriber holds, RFC 6177), or a user of this machine.
        text: for logs.
        credentials: of a Unix socket, where the system tells.

    """

    key: str
    text: str
    credentials: Credentials | None = None


def identify(accepted: socket.socket, address: object) -> Peer:
    """Say who connected; `address` is what accept() gave."""
    match address:
        case (str(host), int(port), *_):
            ip = ipaddress.ip_address(host)
            if isinstance(ip, ipaddress.IPv6Address):
                return Peer(ip.packed[:8].hex(), f"[{host}]:{port}")
            return Peer(host, f"{host}:{port}")
    found = _credentials(accepted)
    if found is None:
        return Peer("unix", "unix")
    return Peer(f"uid={found.uid}", f"unix:pid={found.pid},uid={found.uid}", found)


def _credentials(accepted: socket.socket) -> Credentials | None:
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    size = struct.calcsize("3i")  # struct ucred of unix(7)
    raw = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return Credentials(*struct.unpack("3i", raw))
