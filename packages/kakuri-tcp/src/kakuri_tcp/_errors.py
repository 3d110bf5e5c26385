"""The errors of this package, grouped by what a caller can do about them.

    TCPError
    ├── EndpointError        the text is not an endpoint: correct it
    ├── TLSSettingsError     a certificate, key or authority can't be used: correct the settings
    ├── ListenFailed         the endpoint can't be listened on: choose another
    ├── RequestNotSent       nothing was sent: safe to try again
    │   ├── ConnectFailed        the peer could not be reached
    │   │   └── UntrustedServer      the server runs as an untrusted user: don't repeat
    │   ├── TooManyRequests      the client's own limit
    │   └── ClientClosed         the caller closed the client
    ├── RequestLost          sent, and the connection broke: check before you repeat it
    ├── RequestTimeout       sent, and no reply in time: check before you repeat it
    ├── ConnectionFault      why a connection ended abnormally
    │   ├── ConnectionLost       the network or the peer broke it
    │   │   └── UnrequestedLine      the peer sent a line without a request
    │   ├── IdleTimeout          the peer made no progress
    │   ├── WriteTimeout         the peer did not read
    │   ├── Overloaded           the server closed it to make room for other connections
    │   ├── ForbiddenUser        another user of this machine opened it
    │   └── UnexpectedProtocol   its first byte belongs to another protocol
    ├── LineError            the peer broke the framing: the connection can't continue
    │   ├── LineTooLong
    │   └── IncompleteLine
    └── HandlerFailed        the application's handler raised; the cause is its exception

Each class also derives from the nearest builtin exception.
"""

import copyreg
import os
import reprlib
from typing import Any

_MAX_SHOWN = 200  # bytes of a line, or characters of a value, in an error


def format_seconds(seconds: float) -> str:
    """Return a duration as text for messages, rounded to milliseconds: 4.9998 is `5 s`."""
    return f"{round(seconds, 3) or seconds:g} s"


_repr = reprlib.Repr()
_repr.maxother = _repr.maxstring = _MAX_SHOWN


def shown(value: object) -> str:
    """Return a value as text for messages; unlike `repr`, this does not fail."""
    try:
        return _repr.repr(value)
    except Exception:  # noqa: BLE001 - such as of an integer with too many digits
        return f"<{type(value).__name__} instance>"


class TCPError(Exception):
    """The base of all errors of this package."""

    def __reduce__(self) -> tuple[Any, ...]:
        # copy and pickle would call the class with `args`, but it takes other arguments.
        return copyreg.__newobj__, (type(self),), {**vars(self), "args": self.args}  # type: ignore[attr-defined]


class EndpointError(TCPError, ValueError):
    """The text is not a valid endpoint, or this kind of endpoint can't be used here."""


class TLSSettingsError(TCPError, ValueError):
    """A file for TLS is missing or invalid.

    Attributes:
        path: The file.
    """

    def __init__(self, expected: str, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(f"can't load {expected} from {str(path)!r}: {reason}")
        self.path = path


class ListenFailed(TCPError, OSError):
    """Listening on an endpoint failed.

    Attributes:
        endpoint: The endpoint, as text.
    """

    def __init__(self, endpoint: str, reason: str) -> None:
        super().__init__(f"can't listen on {endpoint}: {reason}")
        self.endpoint = endpoint


class RequestNotSent(TCPError):
    """A request was not sent, not even in part."""


class ConnectFailed(RequestNotSent, ConnectionError):
    """A peer could not be reached; nothing was sent to it.

    Attributes:
        endpoint: The endpoint, as text.
        reason: Why, such as the operating system's error.
    """

    def __init__(self, endpoint: str, reason: str) -> None:
        super().__init__(f"can't connect to {endpoint}: {reason}")
        self.endpoint = endpoint
        self.reason = reason


class UntrustedServer(ConnectFailed):
    """A server on this machine runs as an untrusted user; nothing was sent to it.

    Attributes:
        uid: The user that the server runs as.
    """

    def __init__(self, endpoint: str, uid: int) -> None:
        super().__init__(
            endpoint,
            f"user {uid} listens there, but is neither root, this user nor a trusted user",
        )
        self.uid = uid


class TooManyRequests(RequestNotSent):
    """A client has as many requests in flight as it may.

    Attributes:
        limit: The number of requests that may be in flight.
    """

    def __init__(self, endpoint: str, limit: int) -> None:
        super().__init__(f"{limit} requests to {endpoint} are in flight, which is the limit")
        self.endpoint = endpoint
        self.limit = limit


class ClientClosed(RequestNotSent):
    """The client was closed before the request was sent."""


class RequestLost(TCPError, ConnectionError):
    """The connection ended after a request was sent; it is unknown whether it was carried out.

    Attributes:
        endpoint: The endpoint, as text.
        reason: Why the connection ended.
    """

    def __init__(self, endpoint: str, reason: str) -> None:
        super().__init__(f"the connection to {endpoint} ended before the reply: {reason}")
        self.endpoint = endpoint
        self.reason = reason


class RequestTimeout(TCPError, TimeoutError):
    """No reply came in time; it is unknown whether the request was carried out.

    Attributes:
        endpoint: The endpoint, as text.
        timeout: The timeout in seconds.
    """

    def __init__(self, endpoint: str, timeout: float) -> None:
        super().__init__(f"no reply from {endpoint} within {format_seconds(timeout)}")
        self.endpoint = endpoint
        self.timeout = timeout


class ConnectionFault(TCPError):
    """Why a connection ended abnormally."""


class ConnectionLost(ConnectionFault, ConnectionError):
    """The network or the peer broke the connection; the cause is the system's error."""


class UnrequestedLine(ConnectionLost):
    """A server sent a line before any request, for example to say why it refuses the client.

    Requests that were about to be sent fail with this error as their cause.

    Attributes:
        line: The line, without its end.
    """

    def __init__(self, line: bytes) -> None:
        text = ascii(line[:_MAX_SHOWN].decode("latin-1"))
        super().__init__(f"the peer sent a line without a request: {text}")
        self.line = line


class IdleTimeout(ConnectionFault, TimeoutError):
    """The peer made no progress within the idle timeout."""


class WriteTimeout(ConnectionFault, TimeoutError):
    """The peer did not read within the write timeout."""


class Overloaded(ConnectionFault):
    """A server closed the connection because its connections together used too many resources.

    Attributes:
        limit: The name of the exceeded limit of ServerLimits, or "shed" after `Server.shed`.
    """

    def __init__(self, limit: str) -> None:
        super().__init__(f"closed to make room for other connections (limit: {limit})")
        self.limit = limit


class ForbiddenUser(ConnectionFault, PermissionError):
    """A server refused a connection over loopback because of the client's user.

    Attributes:
        uid: The user; None if it could not be determined, for example because the client had
            disconnected.
    """

    def __init__(self, uid: int | None, hint: str = "") -> None:
        client = "a client whose user is unknown" if uid is None else f"user {uid} of this machine"
        hint = f"; {hint}" if hint and uid is not None else ""
        super().__init__(f"{client} may not use this server{hint}")
        self.uid = uid


class UnexpectedProtocol(ConnectionFault, ValueError):
    """The first byte of a connection belongs to another protocol.

    Attributes:
        expected: The allowed first bytes.
        got: The byte that was received.
    """

    def __init__(self, expected: bytes, got: bytes) -> None:
        super().__init__(f"expected a connection that begins with {expected!r}, got {got!r}")
        self.expected = expected
        self.got = got


class LineError(TCPError, ValueError):
    """A peer violated the line framing."""


class LineTooLong(LineError):
    """A line is longer than the limit.

    Attributes:
        limit: Maximum length of a line in bytes, without its end.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(f"expected a line of at most {limit} bytes, got a longer one")
        self.limit = limit


class IncompleteLine(LineError):
    """The stream ended inside a line.

    Attributes:
        size: Number of bytes of the line that were received.
    """

    def __init__(self, size: int) -> None:
        super().__init__(f"expected a line feed, got the end of the stream after {size} bytes")
        self.size = size


class HandlerFailed(TCPError):
    """A handler or parser raised, or a handler returned something other than a reply.

    The cause is its exception.
    """
