"""Connecting to an endpoint; every failure is a ConnectFailed."""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, TypeVar

from kakuri_tcp._endpoint import Endpoint
from kakuri_tcp._errors import ConnectFailed, UntrustedServer
from kakuri_tcp._limits import check_timeout, checked_uids
from kakuri_tcp._reasons import reason_of
from kakuri_tcp._tls import ClientTLS, tls_for
from kakuri_tcp._trusted_servers import check_server

if TYPE_CHECKING:
    import ssl

C = TypeVar("C", bound=asyncio.BaseProtocol)

CONNECT_TIMEOUT = 5.0
"""Seconds for a connection to be established, by default."""

# Seconds between attempts while the backlog of a Unix socket is full: Linux can't wait for room.
_QUEUE_FULL_WAIT = 0.01


async def connect(
    endpoint: Endpoint | str,
    factory: Callable[[], C],
    *,
    timeout: float = CONNECT_TIMEOUT,
    tls: ClientTLS | None = None,
    trusted_uids: Collection[int] | None = None,
) -> C:
    """Open a connection to an endpoint.

        class Shout(Connection):
            def opened(self) -> None:
                self.write(b"hello")

        connection = await connect("127.0.0.1:9000", Shout, timeout=1.0)

    Args:
        endpoint: Where to connect. All addresses of a host name are tried, in resolver order.
        factory: Creates the connection, or another asyncio protocol.
        timeout: Seconds for name resolution, connecting and the TLS handshake together.
        tls: For the scheme "tls": which servers to trust, and the client's certificate. By
            default, the system's authorities are trusted and no certificate is sent.
        trusted_uids: Users whose servers on this machine are trusted besides root and the user of
            this process; None to check only servers of Unix sockets, and not those on loopback.

    Returns:
        The connected object that `factory` created.

    Raises:
        ConnectFailed: The endpoint could not be reached; names it and the reason.
        UntrustedServer: The server on this machine runs as another user.
        TLSSettingsError: A file of the TLS settings can't be used.
        EndpointError: The text is not an endpoint, or `tls` is given for another scheme.
        TypeError: An argument has the wrong type.
        ValueError: The timeout is NaN.
    """
    endpoint = Endpoint.of(endpoint)
    check_timeout(timeout)
    trusted_uids = checked_uids(trusted_uids)
    if not callable(factory):
        raise TypeError(f"expected a function as factory, got {factory!r:.80}")
    context, server_name = tls_for(endpoint, tls)
    try:
        async with asyncio.timeout(timeout):
            if endpoint.scheme == "unix":
                return await _open_unix(endpoint, factory, trusted_uids)
            if endpoint.scheme == "tcp" and trusted_uids is not None:
                return await _open_checked(endpoint, factory, trusted_uids)
            return await _open(endpoint, factory, context, server_name)
    except ConnectFailed:
        raise
    except OSError as error:
        raise ConnectFailed(str(endpoint), reason_of(error, timeout)) from error


async def _open(
    endpoint: Endpoint,
    factory: Callable[[], C],
    context: "ssl.SSLContext | None",
    server_name: str,
) -> C:
    loop = asyncio.get_running_loop()
    transport, connection = await loop.create_connection(
        factory,
        endpoint.host,
        endpoint.port,
        ssl=context,
        server_hostname=server_name if context else None,
    )
    _refuse_self_connection(transport)
    return connection


async def _open_checked(
    endpoint: Endpoint, factory: Callable[[], C], trusted_uids: Collection[int]
) -> C:
    """Open a TCP connection, and check a server on loopback before anything can be sent."""
    loop = asyncio.get_running_loop()
    failure: OSError | None = None
    for family, address in await _addresses(endpoint):
        # With the protocol's number, asyncio sends small writes at once (TCP_NODELAY).
        connected = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            connected.settimeout(0)
            await loop.sock_connect(connected, address)
            check_server(connected, str(endpoint), trusted_uids)
            transport, connection = await loop.create_connection(factory, sock=connected)
        except OSError as error:
            connected.close()
            if not isinstance(failure, UntrustedServer):  # the reason that needs attention
                failure = error
        except BaseException:
            connected.close()
            raise
        else:
            _refuse_self_connection(transport)
            return connection
    assert failure is not None, "a name has at least one address"
    raise failure


async def _addresses(endpoint: Endpoint) -> list[tuple[int, tuple[Any, ...]]]:
    """Return the family and the address of each socket to connect to."""
    host, port = endpoint.host, endpoint.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.suppress(OSError):  # a name, which a thread resolves
        socket.inet_pton(family, host)
        return [(family, (host, port))]
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


async def _open_unix(
    endpoint: Endpoint, factory: Callable[[], C], trusted_uids: Collection[int] | None
) -> C:
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connected.settimeout(0)
        while True:
            try:
                connected.connect(endpoint.path)
                break
            except BlockingIOError:
                await asyncio.sleep(_QUEUE_FULL_WAIT)
        # Checked before the protocol can read or write.
        check_server(connected, str(endpoint), trusted_uids)
        loop = asyncio.get_running_loop()
        return (await loop.create_unix_connection(factory, sock=connected))[1]
    except BaseException:
        connected.close()
        raise


def _refuse_self_connection(transport: asyncio.Transport) -> None:
    if is_self_connected(transport):
        transport.abort()
        raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))


def is_self_connected(transport: asyncio.BaseTransport) -> bool:
    """Return whether a connection is connected to itself.

    That happens on loopback: if a closed port is in the range for outgoing connections, the kernel
    may choose it as the local port (simultaneous open, RFC 9293 section 3.5).
    """
    return bool(transport.get_extra_info("sockname") == transport.get_extra_info("peername"))
