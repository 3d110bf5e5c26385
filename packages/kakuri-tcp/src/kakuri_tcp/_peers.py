"""Identity of the other end of an accepted socket, by address or by user."""

import ipaddress
import socket
from dataclasses import dataclass, replace

from kakuri_tcp._socket_users import is_loopback, unix_credentials


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
        key: The same for all sockets that count as one peer: an IPv4 address, an IPv6 /64 (the
            usual network of one subscriber, RFC 6177), or a local user. Any local process can use
            all of 127.0.0.0/8, so loopback addresses of both families count as one peer unless the
            user is known.
        text: The peer as shown in logs.
        credentials: The process that connected to a Unix socket, if the system reports it.
        is_loopback: Whether it connected to a port of this machine over loopback.
        uid: The user of this machine who connected; None if that is not known.
    """

    key: str
    text: str
    credentials: Credentials | None = None
    is_loopback: bool = False
    uid: int | None = None

    def with_user(self, uid: int) -> "Peer":
        """Return this loopback peer with its user, so that it is counted by user."""
        return replace(self, key=f"uid={uid}", uid=uid)


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
    text = f"unix:pid={found.pid},uid={found.uid}"
    return Peer(f"uid={found.uid}", text, found, uid=found.uid)


def credentials_of(connected: socket.socket) -> Credentials | None:
    """Return the credentials of a Unix socket's peer; None if the system has none."""
    found = unix_credentials(connected)
    return None if found is None else Credentials(*found)
