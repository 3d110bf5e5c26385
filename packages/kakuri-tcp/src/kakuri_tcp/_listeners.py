"""Listening sockets: every address of a name, or a file in the file system."""

import asyncio
import errno
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Self

from kakuri_tcp._endpoint import Endpoint
from kakuri_tcp._errors import ListenFailed
from kakuri_tcp._limits import DEFAULT_SERVER_LIMITS, ServerLimits
from kakuri_tcp._unix import SocketFile, UnixAccess, listen_unix

_AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]

_PORT_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class ListeningSockets:
    """Sockets that listen on one endpoint; give them to `listen` in place of the endpoint.

    Attributes:
        endpoint: as asked for, with the real port.
        sockets: one for each address.
        file: of a Unix socket; None for a process that inherited the socket, because the process
            that made the file removes it.

    """

    endpoint: Endpoint
    sockets: list[socket.socket]
    file: SocketFile | None = None

    @classmethod
    def inherited(cls, endpoint: Endpoint, descriptors: Iterable[int]) -> Self:
        """Take over listening sockets that the parent process opened.

        Args:
            endpoint: what the parent was asked to listen on.
            descriptors: as `descriptors` returned them there; they now belong to the result.

        Raises:
            OSError: a descriptor is not that of an open socket.

        """
        sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        for listener in sockets:
            listener.settimeout(0)
            listener.set_inheritable(False)
        return cls(_with_real_port(endpoint, sockets), sockets)

    @property
    def descriptors(self) -> list[int]:
        """The sockets' file descriptors, for a child process to inherit."""
        return [listener.fileno() for listener in self.sockets]

    def close(self) -> None:
        """Close the sockets, and remove a Unix socket's file if it still is ours."""
        for listener in self.sockets:
            listener.close()
        self.sockets.clear()
        if self.file is not None:
            self.file.remove()


def open_listening_sockets(
    endpoint: Endpoint | str,
    number: int,
    *,
    limits: ServerLimits | None = None,
    access: UnixAccess | None = None,
) -> list[ListeningSockets]:
    """Open the sockets for several processes that serve one endpoint together.

    Each process gets TCP sockets of its own, between which the kernel spreads new connections
    (SO_REUSEPORT, socket(7)). All get the same Unix socket, and one that is idle accepts. What has
    connected to a process's sockets waits in their queue until the process, or the next one that
    inherits them, accepts it: keep them open while a process is replaced.

    Args:
        endpoint: where to listen; port 0 lets the kernel choose one for all.
        number: how many processes there are, at least 1.
        limits: of the servers; `backlog` is what each socket may hold.
        access: who may connect to a Unix socket; this user and root by default.

    Returns:
        Sockets for each process. Close all of them at the end; the first removes the file of a
        Unix socket.

    Raises:
        ListenFailed: the endpoint is taken, is not of this machine, or may not be used.

    """
    if number < 1:
        raise ValueError(f"expected a number of processes from 1, got {number}")
    endpoint = Endpoint.of(endpoint)
    # Without SO_REUSEPORT first: with it, another program of this user could be listening there.
    backlog = (limits or DEFAULT_SERVER_LIMITS).backlog
    first = open_sockets_blocking(endpoint, backlog, access or UnixAccess())
    if endpoint.scheme == "unix":
        copies = [[one.dup() for one in first.sockets] for _ in range(number - 1)]
        return [first, *(ListeningSockets(endpoint, copy) for copy in copies)]
    addresses = [(one.family, one.getsockname()) for one in first.sockets]
    first.close()
    opened: list[ListeningSockets] = []
    try:
        for _ in range(number):
            opened.append(ListeningSockets(first.endpoint, []))
            for family, address in addresses:
                opened[-1].sockets.append(_bind(family, address, backlog, is_shared=True))
    except OSError as error:
        for each in opened:
            each.close()
        raise ListenFailed(str(first.endpoint), error.strerror or str(error)) from error
    return opened


async def open_sockets(endpoint: Endpoint, backlog: int, access: UnixAccess) -> ListeningSockets:
    """Listen on an endpoint, without blocking while its name is looked up; errors as below."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, open_sockets_blocking, endpoint, backlog, access)


def open_sockets_blocking(endpoint: Endpoint, backlog: int, access: UnixAccess) -> ListeningSockets:
    """Listen on an endpoint.

    Raises:
        ListenFailed: it is taken, is not of this machine, or may not be used.

    """
    try:
        if endpoint.scheme == "unix":
            listener, file = listen_unix(endpoint.path, backlog, access)
            return ListeningSockets(endpoint, [listener], file)
        found = socket.getaddrinfo(
            endpoint.host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        sockets = _listen_tcp(list(dict.fromkeys(found)), endpoint.port, backlog)
    except ListenFailed:
        raise
    except OSError as error:
        raise ListenFailed(str(endpoint), error.strerror or str(error)) from error
    return ListeningSockets(_with_real_port(endpoint, sockets), sockets)


def _with_real_port(endpoint: Endpoint, sockets: list[socket.socket]) -> Endpoint:
    if endpoint.scheme == "unix":
        return endpoint
    return replace(endpoint, port=sockets[0].getsockname()[1])


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


def _bind(
    family: int, address: tuple[Any, ...], backlog: int, *, is_shared: bool = False
) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.settimeout(0)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # 0.0.0.0 and [::] are two endpoints, whatever the system's default.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener
