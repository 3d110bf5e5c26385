"""The errors of this package, grouped by what a caller can do about them.

HTTPError
├── ProtocolError (ValueError)
│   ├── RemoteProtocolError        the peer broke the protocol: respond with `status`, then close
│   │   └── LimitExceeded          the peer sent more, or more slowly, than `limit` allows
│   └── LocalProtocolError         the caller's message is not valid, or can't be sent now
├── RouteError (ValueError)        a route that can't be added
│   └── RouteConflict              … because another route has the same paths
├── ClientError
│   ├── InvalidURL (ValueError)    not an http or https URL that this client follows
│   ├── ConnectFailed (ConnectionError)      no connection could be opened: nothing was sent
│   │   └── UntrustedServer                  the server runs as an untrusted user
│   ├── ConnectionBroken (ConnectionError)   closed too early: the outcome is unknown
│   ├── RequestTimeout (TimeoutError)        one of the timeouts passed; `phase` names it
│   ├── ResponseClosed (RuntimeError)        a streamed response was read after its block
│   └── TooManyRedirects
├── ClientDisconnected (ConnectionError)     a handler reads or writes after its client disconnected
└── ResponseAborted            a server's handler can't complete a response that it has begun
"""

import copyreg
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import kakuri_tcp


class HTTPError(Exception):
    """The base of all errors of this package."""

    def __reduce__(self) -> tuple[Any, ...]:
        # copy and pickle would call the class with `args`, but it takes other arguments.
        return copyreg.__newobj__, (type(self),), {**vars(self), "args": self.args}  # type: ignore[attr-defined]


class ProtocolError(HTTPError, ValueError):
    """A message, or a sequence of messages, that HTTP/1.1 does not allow."""


class RemoteProtocolError(ProtocolError):
    """The peer violated HTTP/1.1.

    Attributes:
        status: The status that a server responds with.
        code: Short, stable name of the cause.
    """

    def __init__(self, message: str, *, status: int = 400, code: str = "bad_request") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class LimitExceeded(RemoteProtocolError):
    """The peer exceeded a limit.

    Attributes:
        limit: Its name in `Limits`.
    """

    def __init__(self, message: str, *, limit: str, status: int, code: str) -> None:
        super().__init__(message, status=status, code=code)
        self.limit = limit


class LocalProtocolError(ProtocolError):
    """The caller tried to send something that HTTP/1.1 does not allow, or not in this state."""


def controlled_field(name: str) -> LocalProtocolError:
    """Return the error for a field in headers that only the library may write."""
    return LocalProtocolError(f"{name!r} is controlled by the library; remove it from headers")


class RouteError(HTTPError, ValueError):
    """A route can't be added because its pattern, method or handler is invalid."""


class RouteConflict(RouteError):
    """A route conflicts with another one, which would make it unreachable or ambiguous."""


class ClientError(HTTPError):
    """The client did not get a complete response to a request."""


class InvalidURL(ClientError, ValueError):
    """The URL is not an `http:` or `https:` URL to which a request can be sent."""


class ConnectFailed(ClientError, ConnectionError):
    """No connection could be opened, so the request was not sent."""


class UntrustedServer(ConnectFailed):
    """A server on this machine runs as an untrusted user.

    Root, this process's user and those of `trusted_uids` are trusted. Nothing was sent.

    Attributes:
        uid: The user that the server runs as.
    """

    def __init__(self, message: str, *, uid: int) -> None:
        super().__init__(message)
        self.uid = uid


@contextmanager
def translated_connect_errors() -> Iterator[None]:
    """Raise this package's ConnectFailed instead of kakuri_tcp's."""
    try:
        yield
    except kakuri_tcp.UntrustedServer as error:
        raise UntrustedServer(str(error), uid=error.uid) from error
    except kakuri_tcp.ConnectFailed as error:
        raise ConnectFailed(str(error)) from error


class ConnectionBroken(ClientError, ConnectionError):
    """The connection closed before the response was complete.

    Whether the request was processed is unknown.
    """


class RequestTimeout(ClientError, TimeoutError):
    """A timeout of the client passed.

    Attributes:
        phase: Its name in `Timeouts`.
    """

    def __init__(self, message: str, *, phase: str) -> None:
        super().__init__(message)
        self.phase = phase


class ResponseClosed(ClientError, RuntimeError):
    """A streamed response was read after its block, when its connection may be in use again."""


class TooManyRedirects(ClientError):
    """A request was redirected more often than the caller allows.

    Attributes:
        locations: URLs of the redirects that were followed, in order.
    """

    def __init__(self, message: str, locations: Sequence[str]) -> None:
        super().__init__(message)
        self.locations: tuple[str, ...] = tuple(locations)


class ClientDisconnected(HTTPError, ConnectionError):
    """The client disconnected before the exchange was complete; raised in a server's handler."""


class ResponseAborted(HTTPError):
    """A handler aborts a streamed response, for example because its source has failed.

    Raise it in the iterable that produces the content. The server resets the connection, so that
    the client can't mistake the response for complete, and logs no traceback: the handler logs
    whatever is useful. The access log still has a line for the request. If a handler raises it
    before it returns a response, it is treated like any other exception: a 500, with a traceback in
    the log.
    """
