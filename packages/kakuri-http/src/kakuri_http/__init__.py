"""HTTP/1.1 from the socket up: a sans-I/O core, a router, a server and a client."""

from kakuri_http._access import Access, AccessLog
from kakuri_http._client import Client, StreamedResponse
from kakuri_http._client_core import ClientConnection
from kakuri_http._errors import (
    ClientDisconnected,
    ClientError,
    ConnectFailed,
    ConnectionBroken,
    HttpError,
    InvalidUrl,
    LimitExceeded,
    LocalProtocolError,
    ProtocolError,
    RemoteProtocolError,
    RequestTimeout,
    ResponseClosed,
    RouteConflict,
    RouteError,
    TooManyRedirects,
    UntrustedServer,
)
from kakuri_http._events import (
    CONNECTION_CLOSED,
    END_OF_MESSAGE,
    NEED_DATA,
    PAUSED,
    ConnectionClosed,
    Data,
    EndOfMessage,
    InterimResponse,
    NeedData,
    Paused,
)
from kakuri_http._headers import Headers
from kakuri_http._limits import Limits
from kakuri_http._problems import problem
from kakuri_http._request import Request
from kakuri_http._response import ReceivedResponse, Response
from kakuri_http._router import Check, Handler, Route, Router
from kakuri_http._server import serve
from kakuri_http._server_core import ServerConnection
from kakuri_http._states import REQUEST_TABLE, RESPONSE_TABLE, State
from kakuri_http._timeouts import PoolLimits, Timeouts
from kakuri_http._version import __version__

__all__ = [
    "CONNECTION_CLOSED",
    "END_OF_MESSAGE",
    "NEED_DATA",
    "PAUSED",
    "REQUEST_TABLE",
    "RESPONSE_TABLE",
    "Access",
    "AccessLog",
    "Check",
    "Client",
    "ClientConnection",
    "ClientDisconnected",
    "ClientError",
    "ConnectFailed",
    "ConnectionBroken",
    "ConnectionClosed",
    "Data",
    "EndOfMessage",
    "Handler",
    "Headers",
    "HttpError",
    "InterimResponse",
    "InvalidUrl",
    "LimitExceeded",
    "Limits",
    "LocalProtocolError",
    "NeedData",
    "Paused",
    "PoolLimits",
    "ProtocolError",
    "ReceivedResponse",
    "RemoteProtocolError",
    "Request",
    "RequestTimeout",
    "Response",
    "ResponseClosed",
    "Route",
    "RouteConflict",
    "RouteError",
    "Router",
    "ServerConnection",
    "State",
    "StreamedResponse",
    "Timeouts",
    "TooManyRedirects",
    "UntrustedServer",
    "__version__",
    "problem",
    "serve",
]

for _name in __all__:  # tracebacks show where users import a name from
    _value = globals()[_name]
    if hasattr(_value, "__qualname__") and _value.__module__.startswith(f"{__name__}."):
        _value.__module__ = __name__
