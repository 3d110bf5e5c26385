"""Connections on blocking sockets, and the lines that arrive on them."""

import select
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

from kakuri_tcp._limits import check_timeout

if TYPE_CHECKING:
    from kakuri_tcp._kernel import Outstanding

_READ_SIZE = 65_536
_LINE_LIMIT = 1_048_576
_MIN_TIMEOUT = 1e-6
"""Minimum timeout of a socket in seconds. With 0, a socket raises BlockingIOError."""
_MAX_TIMEOUT = 2_147_483.0
"""Maximum timeout of a socket in seconds: 24 days, as for poll(2). With a longer one, a socket
times out too early or raises OverflowError."""


def socket_timeout(seconds: float | None) -> float | None:
    """Return the nearest timeout that a socket accepts; None for None."""
    return None if seconds is None else max(_MIN_TIMEOUT, min(seconds, _MAX_TIMEOUT))


class LineReader:
    """Reads lines from a connection; created by `Connection.reader`."""

    def __init__(self, connection: "Connection", *, limit: int = _LINE_LIMIT) -> None:
        """Create a reader for lines of at most `limit` bytes, without their end."""
        from kakuri_tcp._lines import LineDecoder  # noqa: PLC0415 (HTTP needs none)

        self._connection = connection
        self._decoder = LineDecoder(limit=limit)
        self._has_ended = False

    def read_line(self) -> bytes | None:
        """Wait for the next line and return it without its end; None at the end of the stream.

        Raises:
            LineTooLong: The next line is longer than the limit.
            IncompleteLine: The stream ended inside a line.
            TimeoutError: The connection's timeout passed. The next call continues the same line.
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
        """Wrap a connected socket; closing the connection closes the socket."""
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
        """Return a reader for this connection's lines; create only one for each connection."""
        return LineReader(self, limit=limit)

    def receive(self) -> bytes:
        """Wait for data and return it; empty at the end of the stream.

        Raises:
            ConnectionLost: TLS ended without close_notify, so an attacker may have truncated the
                data.
            TimeoutError: The connection's timeout passed.
        """
        return self._socket.recv(_READ_SIZE)

    def receive_available(self) -> bytes | None:
        """Return data that has arrived, without waiting; empty at the end of the stream.

        Sets the timeout of later calls to 0.

        Returns:
            The data, or None if there is none.
        """
        self._socket.settimeout(0)
        try:
            return self.receive()
        except BlockingIOError:
            return None

    def has_input(self) -> bool:
        """Return whether data or the end of the stream has arrived, without waiting.

        Over TLS, the input may be a TLS record without application data; `receive` then still
        waits.
        """
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        return bool(poller.poll(0))

    def send(self, data: bytes) -> None:
        """Send data, and wait until the kernel has accepted all of it."""
        self._socket.sendall(data)

    def send_some(self, data: bytes) -> int:
        """Send as much data as the kernel accepts, at least one byte, and return how much.

        Raises:
            TimeoutError: The kernel accepted nothing; it is safe to send the same data again.
        """
        return self._socket.send(data)

    def outstanding(self) -> "Outstanding":
        """Return how many sent bytes the peer has received, and how many it has not.

        Compare two measurements to tell a slow peer from a stuck one: a slow peer keeps receiving
        even while the kernel accepts no more data.
        """
        from kakuri_tcp._kernel import outstanding_on  # noqa: PLC0415 (few peers are that slow)

        return outstanding_on(self._socket)

    def send_line(self, line: bytes) -> None:
        """Send a line, followed by a line feed.

        Raises:
            ValueError: The line contains a line feed, or ends with a carriage return, which the
                peer would strip as part of the line ending.
        """
        if b"\n" in line or line[-1:] == b"\r":
            raise ValueError(f"expected a line without its end, got {line[-80:]!r}")
        self.send(line + b"\n")

    def set_timeout(self, seconds: float | None) -> None:
        """Set the timeout of later calls in seconds, at most 24 days; None for no timeout.

        With 0 or less, a call that has to wait raises TimeoutError within a millisecond.
        """
        check_timeout(seconds, "seconds")
        self._socket.settimeout(socket_timeout(seconds))

    def send_eof(self) -> None:
        """Close the sending side; the peer may still send."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the connection. Closing again has no effect."""
        self._socket.close()
