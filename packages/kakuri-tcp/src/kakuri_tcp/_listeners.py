"""Listening sockets: every address of a name, or a file in the file system."""

import asyncio
import errno
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from kakuri_tcp._endpoint import Endpoint
from kakuri_tcp._errors import ListenFailed
from kakuri_tcp._unix import SocketFile, UnixAccess, listen_unix

_AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]

_PORT_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Listeners:
    """Listening sockets and what has to go with them.

    Attributes:
        endpoint: as asked for, with the real port.
        sockets: one for each address.
        file: of a Unix socket.

    """

    endpoint: Endpoint
    sockets: list[socket.socket]
    file: SocketFile | None = None

    def close(self) -> None:
        """Close the sockets, and remove a Unix socket's file if it still is ours."""
        for listener in self.sockets:
            listener.close()
        self.sockets.clear()
        if self.file is not None:
            self.file.remove()


async def open_listeners(endpoint: Endpoint, backlog: int, access: UnixAccess) -> Listeners:
    """Listen on an endpoint, without blocking while its name is looked up; errors as below."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, open_listeners_blocking, endpoint, backlog, access)


def open_listeners_blocking(endpoint: Endpoint, backlog: int, access: UnixAccess) -> Listeners:
    """Listen on an endpoint.

    Raises:
        ListenFailed: it is taken, is not of this machine, or may not be used.

    """
    try:
        if endpoint.scheme == "unix":
            listener, file = listen_unix(endpoint.path, backlog, access)
            return Listeners(endpoint, [listener], file)
        found = socket.getaddrinfo(
            endpoint.host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        sockets = _listen_tcp(list(dict.fromkeys(found)), endpoint.port, backlog)
    except ListenFailed:
        raise
    except OSError as error:
        raise ListenFailed(str(endpoint), error.strerror or str(error)) from error
    return Listeners(replace(endpoint, port=sockets[0].getsockname()[1]), sockets)


def _listen_tcp(found: list[_AddressInfo], port: int, backlog: int) -> list[socket.socket]:
    """Listen on all addresses at one port; where the kernel chooses, one that is free on all."""
    for attempt in range(_PORT_ATTEMPTS):
        try:
            return _bind_all(found, port, backlog)
        except OSError as error:
            if port or error.errno != errno.EADDRINUSE or attempt == _PORT_ATTEMPTS - 1:
                raise
    raise AssertionError("the loop returns or raises")


def _bind_all(found: Iterable[_AddressInfo], port: int, backlog: int) -> list[socket.socket]:
    """Listen on every address at one port.

    A name may have addresses of a family that this machine doesn't speak (`localhost` where IPv6
    is off); they are left out as long as one address remains.
    """
    sockets: list[socket.socket] = []
    missing = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    for family, _, _, _, address in found:
        try:
            listener = _bind(family, (address[0], port, *address[2:]), backlog)
        except OSError as error:
            if error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                for other in sockets:
                    other.close()
                raise
            missing = error
            continue
        sockets.append(listener)
        port = listener.getsockname()[1]
    if not sockets:
        raise missing
    return sockets


def _bind(family: int, address: tuple[Any, ...], backlog: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.settimeout(0)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # 0.0.0.0 and [::] are two endpoints, whatever the system's default.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener
