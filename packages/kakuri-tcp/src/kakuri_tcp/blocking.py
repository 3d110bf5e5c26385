"""Servers, connections and line framing on blocking sockets, for scripts.

There are no threads and no event loop: each call blocks until it is done.
"""

import socket
from collections.abc import Collection
from typing import TYPE_CHECKING, Self, cast

from kakuri_tcp._blocking_connection import Connection, LineReader, socket_timeout
from kakuri_tcp._endpoint import Endpoint
from kakuri_tcp._errors import ConnectFailed, EndpointError, ListenFailed
from kakuri_tcp._limits import check_timeout, check_type, checked_uids

# Servers, TLS and Unix sockets are imported where they are used, so that a command that makes one
# request starts quickly.
if TYPE_CHECKING:
    from kakuri_tcp._local_access import LocalAccess
    from kakuri_tcp._tls import ClientTLS

__all__ = ["Connection", "LineReader", "Server", "connect"]

for _class in (Connection, LineReader):  # so that tracebacks show the public name
    _class.__module__ = __name__


class Server:
    """A listening endpoint; a context manager that closes it on exit.

    Attributes:
        endpoint: The endpoint it listens on, with the actual port.
    """

    def __init__(
        self,
        endpoint: Endpoint | str,
        *,
        timeout: float | None = None,
        backlog: int = 128,
        local_access: "LocalAccess | None" = None,
    ) -> None:
        """Listen on a TCP endpoint or a Unix socket.

        Args:
            endpoint: Where to listen, at every address of a host name.
            timeout: Seconds for each wait of the server and its connections, at most 24 days.
            backlog: Connections that the kernel holds until they are accepted.
            local_access: Who on this machine may connect.

        Raises:
            ListenFailed: The address is in use, not of this machine, or not permitted.
            EndpointError: The text is not an endpoint, or its scheme is "tls".
            TypeError: An argument has the wrong type.
            ValueError: The timeout is NaN.
        """
        from kakuri_tcp._listeners import open_sockets_blocking  # noqa: PLC0415
        from kakuri_tcp._local_access import LocalAccess  # noqa: PLC0415
        from kakuri_tcp._user_check import UserCheck  # noqa: PLC0415

        endpoint = Endpoint.of(endpoint)
        if endpoint.scheme == "tls":
            raise EndpointError(f"expected tcp:// or unix:// to listen on, got '{endpoint}'")
        check_timeout(timeout)
        self._timeout = socket_timeout(timeout)
        access = LocalAccess() if local_access is None else local_access
        check_type("local_access", access, LocalAccess)
        self._listeners = open_sockets_blocking(endpoint, backlog, access)
        self.endpoint: Endpoint = self._listeners.endpoint
        try:
            self._users = UserCheck(access, self._listeners)
        except ListenFailed:
            self._listeners.close()
            raise

    def __repr__(self) -> str:
        state = "listening" if self._listeners.sockets else "closed"
        return f"<Server {self.endpoint} {state}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def accept(self) -> Connection:
        """Wait for the next connection.

        Raises:
            TimeoutError: The server's timeout passed.
            ListenFailed: The server is closed.
        """
        if not self._listeners.sockets:
            raise ListenFailed(str(self.endpoint), "the server is closed")
        import selectors  # noqa: PLC0415

        from kakuri_tcp._peers import identify  # noqa: PLC0415

        with selectors.DefaultSelector() as selector:
            for listener in self._listeners.sockets:
                selector.register(listener, selectors.EVENT_READ)
            while ready := selector.select(self._timeout):
                listener = cast("socket.socket", ready[0][0].fileobj)
                try:
                    accepted, address = listener.accept()
                except (BlockingIOError, ConnectionAbortedError):
                    continue  # the peer closed it before it was accepted
                peer, refusal = self._users.check(accepted, identify(accepted, address))
                if refusal is not None:
                    accepted.close()
                    continue
                accepted.settimeout(self._timeout)
                return Connection(accepted, peer.text)
        raise TimeoutError(f"no connection to {self.endpoint} within {self._timeout:g} s")

    def close(self) -> None:
        """Stop listening; connections stay open. Closing again has no effect.

        A thread that is blocked in `accept` stays blocked until the server's timeout has passed.
        """
        self._listeners.close()


def connect(
    endpoint: Endpoint | str,
    *,
    timeout: float | None = None,
    tls: "ClientTLS | None" = None,
    trusted_uids: Collection[int] | None = None,
) -> Connection:
    """Open a connection to an endpoint.

    Args:
        endpoint: Where to connect; the addresses of a host name are tried in their order.
        timeout: Seconds for connecting to one address, and for each later wait; at most 24 days.
        tls: For the scheme "tls": which servers to trust, and the client's certificate. By
            default, the system's authorities are trusted and no certificate is sent.
        trusted_uids: Users whose servers on this machine are trusted besides root and the user of
            this process; None to check only servers of Unix sockets, and not those on loopback.

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
    timeout = socket_timeout(timeout)
    opener = None
    if endpoint.scheme == "tls" or tls is not None:
        from kakuri_tcp._blocking_tls import TLSOpener  # noqa: PLC0415

        opener = TLSOpener(endpoint, tls)
    try:
        if endpoint.scheme == "unix":
            return Connection(_connected_unix(endpoint, timeout, trusted_uids), str(endpoint))
        # For a str, Python would import the IDNA codec, even if it is an address.
        host = cast("str", endpoint.host.encode("ascii"))
        connected = socket.create_connection((host, endpoint.port), timeout)
        if trusted_uids is not None and endpoint.scheme == "tcp":
            _check_server(connected, endpoint, trusted_uids)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if opener is not None:
            return opener.open(connected, str(endpoint))
        return Connection(connected, str(endpoint))
    except ConnectFailed:
        raise
    except OSError as error:
        from kakuri_tcp._reasons import reason_of  # noqa: PLC0415 (most attempts succeed)

        raise ConnectFailed(str(endpoint), reason_of(error, timeout)) from error


def _connected_unix(
    endpoint: Endpoint, timeout: float | None, trusted_uids: Collection[int] | None
) -> socket.socket:
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connected.settimeout(timeout)
    try:
        connected.connect(endpoint.path)
    except OSError:
        connected.close()
        raise
    _check_server(connected, endpoint, trusted_uids)
    return connected


def _check_server(
    connected: socket.socket, endpoint: Endpoint, trusted_uids: Collection[int] | None
) -> None:
    """Check a server as `check_server` does, and close the socket if the check fails."""
    from kakuri_tcp._trusted_servers import check_server  # noqa: PLC0415

    try:
        check_server(connected, str(endpoint), trusted_uids)
    except OSError:
        connected.close()
        raise
