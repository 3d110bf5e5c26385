"""Servers, connections and line framing on blocking sockets, for scripts.

There are no threads and no event loop: each call waits for one thing.
"""

import select
import selectors
import socket
import ssl
from collections.abc import Collection, Iterator
from typing import Self, cast

from kakuri_tcp._endpoint import Endpoint
from kakuri_tcp._errors import ConnectFailed, ConnectionLost, EndpointError
from kakuri_tcp._lines import LineDecoder
from kakuri_tcp._listeners import open_sockets_blocking
from kakuri_tcp._peers import check_server, identify
from kakuri_tcp._reasons import reason_of
from kakuri_tcp._tls import ClientTLS, tls_for
from kakuri_tcp._unix import UnixAccess

__all__ = ["Connection", "LineReader", "Server", "connect"]

_READ_SIZE = 65_536
_LINE_LIMIT = 1_048_576


class LineReader:
    """A reader of the lines of a connection; made by `Connection.reader`."""

    def __init__(self, connection: "Connection", *, limit: int = _LINE_LIMIT) -> None:
        """Create a reader for lines of at most `limit` bytes, without their end."""
        self._connection = connection
        self._decoder = LineDecoder(limit=limit)
        self._has_ended = False

    def read_line(self) -> bytes | None:
        """Wait for the next line and return it without its end; None at the end of the stream.

        Raises:
            LineTooLong: The next line is longer than the limit.
            IncompleteLine: The stream ended inside a line.
            TimeoutError: The connection's timeout passed; the next call continues the line.
        """
        while (line := self._decoder.next_line()) is None and not self._has_ended:
            if data := self._connection.receive():
                self._decoder.receive_data(data)
            else:
                self._has_ended = True
                self._decoder.receive_eof()
        return line

    def __iter__(self) -> Iterator[bytes]:
        while (line := self.read_line()) is not None:
            yield line


class Connection:
    """One stream to a peer; a context manager that closes it on exit.

    Attributes:
        peer: The other end, as text for logs.
    """

    def __init__(self, connected: socket.socket, peer: str) -> None:
        """Wrap a connected socket, which the connection closes."""
        self.peer = peer
        self._socket = connected

    def __repr__(self) -> str:
        state = "closed" if self._socket.fileno() < 0 else "open"
        return f"<Connection {self.peer} {state}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def reader(self, *, limit: int = _LINE_LIMIT) -> LineReader:
        """Return a reader of this connection's lines; a connection can have one reader."""
        return LineReader(self, limit=limit)

    def receive(self) -> bytes:
        """Wait for data and return it; empty at the end of the stream.

        Raises:
            ConnectionLost: TLS ended without close_notify, as if an attacker cut the connection.
            TimeoutError: The connection's timeout passed.
        """
        try:
            return self._socket.recv(_READ_SIZE)
        except ssl.SSLEOFError as error:
            raise ConnectionLost(f"{self.peer} closed TLS without close_notify") from error

    def has_input(self) -> bool:
        """Return whether data or the end of the stream has arrived, without waiting.

        Over TLS, that may be a message of TLS itself, and `receive` waits nevertheless.
        """
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        return bool(poller.poll(0))

    def send(self, data: bytes) -> None:
        """Send data, and wait until the system has accepted all of it."""
        self._socket.sendall(data)

    def send_line(self, line: bytes) -> None:
        """Send a line, and its end.

        Raises:
            ValueError: The line contains a line feed.
        """
        if b"\n" in line:
            raise ValueError(f"expected a line without its end, got {line[-80:]!r}")
        self.send(line + b"\n")

    def set_timeout(self, seconds: float | None) -> None:
        """Set the timeout of later calls in seconds; None for no timeout."""
        self._socket.settimeout(seconds)

    def send_eof(self) -> None:
        """End this side's stream; the peer may still send."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the connection; may be called again."""
        self._socket.close()


class Server:
    """A listening endpoint; a context manager that closes it on exit.

    Attributes:
        endpoint: Where it listens, with the real port.
    """

    def __init__(
        self,
        endpoint: Endpoint | str,
        *,
        timeout: float | None = None,
        backlog: int = 128,
        unix_access: UnixAccess | None = None,
    ) -> None:
        """Listen on a TCP endpoint or a Unix socket.

        Args:
            endpoint: Where to listen, at every address of a host name.
            timeout: Seconds for each wait of the server and its connections.
            backlog: Connections that the kernel holds until they are accepted.
            unix_access: Who may connect to a Unix socket.

        Raises:
            ListenFailed: The address is in use, not of this machine, or not permitted.
            EndpointError: The text is not an endpoint, or its scheme is "tls".
        """
        endpoint = Endpoint.of(endpoint)
        if endpoint.scheme == "tls":
            raise EndpointError(f"expected tcp:// or unix:// to listen on, got '{endpoint}'")
        self._listeners = open_sockets_blocking(endpoint, backlog, unix_access or UnixAccess())
        self._timeout = timeout
        self.endpoint: Endpoint = self._listeners.endpoint

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
        """
        with selectors.DefaultSelector() as selector:
            for listener in self._listeners.sockets:
                selector.register(listener, selectors.EVENT_READ)
            while ready := selector.select(self._timeout):
                listener = cast("socket.socket", ready[0][0].fileobj)
                try:
                    accepted, address = listener.accept()
                except (BlockingIOError, ConnectionAbortedError):
                    continue  # the peer closed it before it was accepted
                accepted.settimeout(self._timeout)
                return Connection(accepted, identify(accepted, address).text)
        raise TimeoutError(f"no connection to {self.endpoint} within {self._timeout:g} s")

    def close(self) -> None:
        """Stop listening; connections stay open. May be called again."""
        self._listeners.close()


def connect(
    endpoint: Endpoint | str,
    *,
    timeout: float | None = None,
    tls: ClientTLS | None = None,
    trusted_uids: Collection[int] = (),
) -> Connection:
    """Open a connection to an endpoint.

    Args:
        endpoint: Where to connect; the addresses of a host name are tried in their order.
        timeout: Seconds for connecting to one address, and for each later wait.
        tls: For the scheme "tls": which servers to trust, and the client's certificate. By
            default, the system's authorities are trusted and no certificate is sent.
        trusted_uids: For the scheme "unix": users whose servers are trusted besides root and the
            user of this process.

    Raises:
        ConnectFailed: The endpoint could not be reached; names it and the reason.
        UntrustedServer: The Unix socket's server runs as another user.
        TLSSettingsError: A file of the TLS settings can't be used.
        EndpointError: The text is not an endpoint, or `tls` is given for another scheme.
    """
    endpoint = Endpoint.of(endpoint)
    context, server_name = tls_for(endpoint, tls)
    try:
        if endpoint.scheme == "unix":
            connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connected.settimeout(timeout)
            try:
                connected.connect(endpoint.path)
                check_server(connected, str(endpoint), trusted_uids)
            except OSError:
                connected.close()
                raise
        else:
            connected = socket.create_connection((endpoint.host, endpoint.port), timeout)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is not None:
                connected = _wrapped(connected, context, server_name)
    except ConnectFailed:
        raise
    except OSError as error:
        raise ConnectFailed(str(endpoint), reason_of(error)) from error
    return Connection(connected, str(endpoint))


def _wrapped(connected: socket.socket, context: ssl.SSLContext, name: str) -> socket.socket:
    try:
        return context.wrap_socket(connected, server_hostname=name, suppress_ragged_eofs=False)
    except OSError:
        connected.close()
        raise
