"""Listening sockets: all addresses of a host name, or a file."""

import errno
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from kakuri_tcp._endpoint import Endpoint
from kakuri_tcp._errors import ListenFailed
from kakuri_tcp._limits import DEFAULT_SERVER_LIMITS, ServerLimits, check_type
from kakuri_tcp._local_access import LocalAccess
from kakuri_tcp._unix import SocketFile, listen_unix

if TYPE_CHECKING:
    import asyncio

_AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]

_PORT_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class ListeningSockets:
    """The listening sockets of an endpoint, which can be passed to `listen` in its place.

    Attributes:
        endpoint: The endpoint, with the actual port.
        sockets: One for each address.
        file: The file of a Unix socket; None in a process that inherited the socket, because the
            process that created the file removes it.
    """

    endpoint: Endpoint
    sockets: list[socket.socket]
    file: SocketFile | None = None

    @classmethod
    def inherited(cls, endpoint: Endpoint, descriptors: Iterable[int]) -> Self:
        """Take over listening sockets that the parent process opened.

        Args:
            endpoint: The endpoint that the parent listens on.
            descriptors: The parent's `descriptors`, which the result owns from now on.

        Raises:
            OSError: A descriptor is not an open socket.
        """
        sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        for listener in sockets:
            listener.settimeout(0)
            listener.set_inheritable(False)
        return cls(_with_actual_port(endpoint, sockets), sockets)

    @property
    def descriptors(self) -> list[int]:
        """The sockets' file descriptors, for a child process to inherit."""
        return [listener.fileno() for listener in self.sockets]

    def close(self) -> None:
        """Close the sockets, and remove a Unix socket's file if it has not been replaced."""
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
    local_access: LocalAccess | None = None,
) -> list[ListeningSockets]:
    """Open listening sockets for several processes that share one endpoint.

    Each process gets its own TCP sockets, and the kernel distributes new connections among them
    (SO_REUSEPORT, socket(7)). A Unix socket is shared by all processes, and whichever is idle
    accepts. Connections wait in the backlog of a process's sockets until that process, or a
    successor that inherits the sockets, accepts them: keep the sockets open while you replace a
    process.

    Args:
        endpoint: Where to listen; with port 0, the kernel chooses one port for all.
        number: The number of processes, at least 1.
        limits: Limits of the servers; `backlog` applies to each socket.
        local_access: Who may connect to a Unix socket; by default this user and root.

    Returns:
        The sockets of each process. Close all of them at the end; closing the first one removes
        the file of a Unix socket.

    Raises:
        ListenFailed: The address is in use, not of this machine, or not permitted.
        TypeError: An argument has the wrong type.
        ValueError: The number is below 1.
    """
    check_type("number", number, int)
    if number < 1:
        raise ValueError(f"expected a number of processes from 1, got {number}")
    endpoint = Endpoint.of(endpoint)
    limits = DEFAULT_SERVER_LIMITS if limits is None else limits
    local_access = LocalAccess() if local_access is None else local_access
    check_type("limits", limits, ServerLimits)
    check_type("local_access", local_access, LocalAccess)
    # First without SO_REUSEPORT: with it, this would succeed even if another program of this user
    # already listened there.
    backlog = limits.backlog
    first = open_sockets_blocking(endpoint, backlog, local_access)
    if endpoint.scheme == "unix":
        copies = [[listener.dup() for listener in first.sockets] for _ in range(number - 1)]
        return [first, *(ListeningSockets(endpoint, copy) for copy in copies)]
    addresses = [(listener.family, listener.getsockname()) for listener in first.sockets]
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


async def open_sockets(
    endpoint: Endpoint, backlog: int, local_access: LocalAccess
) -> ListeningSockets:
    """Listen on an endpoint; names are resolved in a thread. Raises ListenFailed."""
    import asyncio  # noqa: PLC0415 (scripts use this module without it)

    loop = asyncio.get_running_loop()
    opening = loop.run_in_executor(None, open_sockets_blocking, endpoint, backlog, local_access)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        # The thread can't be stopped; what it opens is not used.
        opening.add_done_callback(_close_unused)
        raise


def _close_unused(opening: "asyncio.Future[ListeningSockets]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def open_sockets_blocking(
    endpoint: Endpoint, backlog: int, local_access: LocalAccess
) -> ListeningSockets:
    """Listen on an endpoint.

    Raises:
        ListenFailed: The address is in use, not of this machine, or not permitted.
    """
    try:
        if endpoint.scheme == "unix":
            listener, file = listen_unix(endpoint.path, backlog, local_access)
            return ListeningSockets(endpoint, [listener], file)
        # Bytes are passed on; text would load the IDNA codec and its tables, half a MiB.
        host = endpoint.host.encode() if endpoint.host.isascii() else endpoint.host
        found = socket.getaddrinfo(
            host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        sockets = _listen_tcp(list(dict.fromkeys(found)), endpoint.port, backlog)
    except ListenFailed:
        raise
    except OSError as error:
        raise ListenFailed(str(endpoint), _reason(endpoint, error)) from error
    return ListeningSockets(_with_actual_port(endpoint, sockets), sockets)


def _reason(endpoint: Endpoint, error: OSError) -> str:
    """Return why listening failed; name the directory of a Unix socket if it does not exist."""
    directory = os.path.dirname(endpoint.path)  # noqa: PTH120 (pathlib is loaded for sockets only)
    if isinstance(error, FileNotFoundError) and directory and not os.path.exists(directory):  # noqa: PTH110
        return f"the directory {directory!r} does not exist"
    return error.strerror or str(error)


def _with_actual_port(endpoint: Endpoint, sockets: list[socket.socket]) -> Endpoint:
    if endpoint.scheme == "unix":
        return endpoint
    return replace(endpoint, port=sockets[0].getsockname()[1])


def _listen_tcp(found: list[_AddressInfo], port: int, backlog: int) -> list[socket.socket]:
    """Listen on all addresses at one port; port 0 becomes a port that is free on all of them."""
    for attempt in range(_PORT_ATTEMPTS):
        try:
            return _bind_all(found, port, backlog)
        except OSError as error:
            if port or error.errno != errno.EADDRINUSE or attempt == _PORT_ATTEMPTS - 1:
                raise
    raise AssertionError("the loop returns or raises")


def _bind_all(found: Iterable[_AddressInfo], port: int, backlog: int) -> list[socket.socket]:
    """Listen on every address at one port.

    Addresses of a family that this machine lacks (`::1` of `localhost` without IPv6) are skipped
    as long as one address remains.
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
            # 0.0.0.0 and [::] are two endpoints, regardless of the system's default.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener
