"""Every error of this package, by what a caller would do about it.

    TCPError
    ├── EndpointError        the text names no endpoint: correct it
    ├── TLSSettingsError     a certificate, key or authority can't be used: correct the settings
    ├── ListenFailed         the endpoint can't be served from here: choose another
    ├── RequestNotSent       nothing left this process: safe to try again
    │   ├── ConnectFailed        the peer could not be reached
    │   │   └── UntrustedServer      another user listens on the Unix socket: don't repeat
    │   ├── TooManyRequests      the client's own limit
    │   └── ClientClosed         the caller closed the client
    ├── RequestLost          it was sent and the connection broke: fate unknown, ask first
    ├── RequestTimeout       no answer in time: fate unknown, ask first
    ├── ConnectionFault      why a connection ended other than by agreement
    │   ├── ConnectionLost       the network or the peer broke it
    │   ├── IdleTimeout          the peer made no progress
    │   ├── WriteTimeout         the peer did not read
    │   ├── Overloaded           the server closed it to have room for other connections
    │   └── UnexpectedProtocol   its first byte belongs to another protocol
    ├── LineError            the peer broke the framing: the connection can't go on
    │   ├── LineTooLong
    │   └── IncompleteLine
    └── HandlerFailed        our own handler raised; the cause is its exception

Each has the nearest builtin as a second base.
"""

import copyreg
import os
from typing import Any


def format_seconds(seconds: float) -> str:
    """Write a duration for people: what is left of 5 s an instant later is still `5 s`."""
    return f"{round(seconds, 3) or seconds:g} s"


class TCPError(Exception):
    """The base of every error that this package raises."""

    def __reduce__(self) -> tuple[Any, ...]:
        # copy and pickle would call the class with `args`, but it takes other arguments.
        return copyreg.__newobj__, (type(self),), {**vars(self), "args": self.args}  # type: ignore[attr-defined]


class EndpointError(TCPError, ValueError):
    """A text that should name an endpoint does not."""


class TLSSettingsError(TCPError, ValueError):
    """A file that TLS needs is missing, or does not hold what it should.

    Attributes:
        path: the file.

    """

    def __init__(self, expected: str, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(f"expected {expected} in {str(path)!r}, but {reason}")
        self.path = path


class ListenFailed(TCPError, OSError):
    """An endpoint could not be listened on.

    Attributes:
        endpoint: the endpoint, as text.

    """

    def __init__(self, endpoint: str, reason: str) -> None:
        super().__init__(f"expected to listen on {endpoint}, but {reason}")
        self.endpoint = endpoint


class RequestNotSent(TCPError):
    """A request of which surely no byte was sent."""


class ConnectFailed(RequestNotSent, ConnectionError):
    """A peer could not be reached; nothing was sent to it.

    Attributes:
        endpoint: the endpoint, as text.
        reason: why, as the operating system or the deadline said it.

    """

    def __init__(self, endpoint: str, reason: str) -> None:
        super().__init__(f"expected to connect to {endpoint}, but {reason}")
        self.endpoint = endpoint
        self.reason = reason


class UntrustedServer(ConnectFailed):
    """The server of a Unix socket is neither root nor this process's user; nothing was sent to it.

    Attributes:
        uid: the user that listens there.

    """

    def __init__(self, endpoint: str, uid: int) -> None:
        super().__init__(
            endpoint, f"user {uid} listens there, which is neither root nor our own nor trusted"
        )
        self.uid = uid


class TooManyRequests(RequestNotSent):
    """A client has as many requests in flight as it may.

    Attributes:
        limit: the number of requests that may be in flight.

    """

    def __init__(self, endpoint: str, limit: int) -> None:
        super().__init__(f"expected at most {limit} requests in flight to {endpoint}")
        self.endpoint = endpoint
        self.limit = limit


class ClientClosed(RequestNotSent):
    """A request was made on a client that its owner had closed."""


class RequestLost(TCPError, ConnectionError):
    """The connection ended between sending a request and its reply; its fate is unknown.

    Attributes:
        endpoint: the endpoint, as text.
        reason: why the connection ended.

    """

    def __init__(self, endpoint: str, reason: str) -> None:
        super().__init__(f"expected a reply from {endpoint}, but {reason}")
        self.endpoint = endpoint
        self.reason = reason


class RequestTimeout(TCPError, TimeoutError):
    """No reply came in time; the fate of the request is unknown.

    Attributes:
        endpoint: the endpoint, as text.
        timeout: the seconds that were allowed.

    """

    def __init__(self, endpoint: str, timeout: float) -> None:
        super().__init__(
            f"expected a reply from {endpoint} within {format_seconds(timeout)}, got none"
        )
        self.endpoint = endpoint
        self.timeout = timeout


class ConnectionFault(TCPError):
    """Why a connection ended, when it was not closed by agreement."""


class ConnectionLost(ConnectionFault, ConnectionError):
    """The network or the peer broke the connection; the cause is the system's error."""


class IdleTimeout(ConnectionFault, TimeoutError):
    """The peer made no progress for as long as it may."""


class WriteTimeout(ConnectionFault, TimeoutError):
    """The peer did not read for as long as it may."""


class Overloaded(ConnectionFault):
    """A server closed the connection because all of its connections together needed too much.

    Attributes:
        limit: the name of the limit of ServerLimits that was reached, or "shed" where the
            application asked for it by `Server.shed`.

    """

    def __init__(self, limit: str) -> None:
        super().__init__(f"closed to have room for other connections (limit: {limit})")
        self.limit = limit


class UnexpectedProtocol(ConnectionFault, ValueError):
    """A connection began with a byte that no connection of its server's protocol begins with.

    Attributes:
        expected: the bytes that a connection may begin with.
        got: the byte that it began with.

    """

    def __init__(self, expected: bytes, got: bytes) -> None:
        super().__init__(f"expected a connection that begins with {expected!r}, got {got!r}")
        self.expected = expected
        self.got = got


class LineError(TCPError, ValueError):
    """A peer broke the line framing."""


class LineTooLong(LineError):
    """A line is longer than the limit.

    Attributes:
        limit: bytes that a line may have, its end not counted.

    """

    def __init__(self, limit: int) -> None:
        super().__init__(f"expected a line of at most {limit} bytes, got a longer one")
        self.limit = limit


class IncompleteLine(LineError):
    """The stream ended inside a line.

    Attributes:
        size: bytes of the line that had arrived.

    """

    def __init__(self, size: int) -> None:
        super().__init__(f"expected a line feed, got the end of the stream after {size} bytes")
        self.size = size


class HandlerFailed(TCPError):
    """A handler raised instead of giving a reply; its exception is the cause."""
