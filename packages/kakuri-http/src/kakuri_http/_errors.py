"""What can go wrong, ordered by what a caller would do about it.

HTTPError
├── ProtocolError (ValueError)
│   ├── RemoteProtocolError        the peer broke the protocol: answer with `status`, then close
│   │   └── LimitExceeded          the peer sent more, or slower, than `limit` allows
│   └── LocalProtocolError         we broke it: a message that may not be sent, or not now
├── RouteError (ValueError)        a route that cannot be added
│   └── RouteConflict              … because another route already answers there
├── ClientError
│   ├── InvalidURL (ValueError)    not an http or https URL that this client would follow
│   ├── ConnectFailed (ConnectionError)      no connection came about: nothing was sent
│   │   └── UntrustedServer              another user listens on the Unix socket: don't repeat
│   ├── ConnectionBroken (ConnectionError)   it ended under way: the request's fate is unknown
│   ├── RequestTimeout (TimeoutError)        one of the timeouts passed; `phase` names it
│   ├── ResponseClosed (RuntimeError)        a streamed response was read after its block
│   └── TooManyRedirects
└── ClientDisconnected (ConnectionError)     a server's handler writes or reads, but the client went
"""

import copyreg
from collections.abc import Sequence
from typing import Any

import kakuri_tcp


class HTTPError(Exception):
    """Anything that this package raises on its own account."""

    def __reduce__(self) -> tuple[Any, ...]:
        # copy and pickle would call the class with `args`, but it takes other arguments.
        return copyreg.__newobj__, (type(self),), {**vars(self), "args": self.args}  # type: ignore[attr-defined]


class ProtocolError(HTTPError, ValueError):
    """A message, or an order of messages, that HTTP/1.1 does not allow."""


class RemoteProtocolError(ProtocolError):
    """The peer sent what HTTP/1.1 does not allow.

    `status` is what a server answers with; `code` is a short, stable name of the cause.
    """

    def __init__(self, message: str, *, status: int = 400, code: str = "bad_request") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class LimitExceeded(RemoteProtocolError):
    """The peer went over a limit; `limit` is its name in `Limits`."""

    def __init__(self, message: str, *, limit: str, status: int, code: str) -> None:
        super().__init__(message, status=status, code=code)
        self.limit = limit


class LocalProtocolError(ProtocolError):
    """We were asked to send what HTTP/1.1 does not allow, or does not allow now."""


class RouteError(HTTPError, ValueError):
    """A route pattern, method or handler that cannot be added."""


class RouteConflict(RouteError):
    """A route that another one makes unreachable or ambiguous."""


class ClientError(HTTPError):
    """A request that the client could not bring to a response."""


class InvalidURL(ClientError, ValueError):
    """Not an `http:` or `https:` URL that can be asked for."""


class ConnectFailed(ClientError, ConnectionError):
    """No connection came about; the request was surely not processed."""


class UntrustedServer(ConnectFailed):
    """The server of a Unix socket is neither root nor this process's user nor a trusted one.

    Nothing was sent to it; `uid` is the user that listens there.
    """

    def __init__(self, message: str, *, uid: int) -> None:
        super().__init__(message)
        self.uid = uid


def connect_error(error: kakuri_tcp.ConnectFailed) -> ConnectFailed:
    """Translate an error of kakuri-tcp into the one of this package."""
    if isinstance(error, kakuri_tcp.UntrustedServer):
        return UntrustedServer(str(error), uid=error.uid)
    return ConnectFailed(str(error))


class ConnectionBroken(ClientError, ConnectionError):
    """The connection ended before the response did; what became of the request is unknown."""


class RequestTimeout(ClientError, TimeoutError):
    """A timeout of the client passed; `phase` is its name in `Timeouts`."""

    def __init__(self, message: str, *, phase: str) -> None:
        super().__init__(message)
        self.phase = phase


class ResponseClosed(ClientError, RuntimeError):
    """A streamed response was read after its block ended: its connection may be in use again."""


class TooManyRedirects(ClientError):
    """Redirects were asked for, and there were more than allowed; `locations` lists them."""

    def __init__(self, message: str, locations: Sequence[str]) -> None:
        super().__init__(message)
        self.locations: tuple[str, ...] = tuple(locations)


class ClientDisconnected(HTTPError, ConnectionError):
    """The client of a server's handler went away in the middle."""
