"""HTTP/1.1 from the socket up: a sans-I/O core, a router, a server and a client.

Every name can be imported from here. `kakuri_http.core`, `kakuri_http.server` and
`kakuri_http.client` hold the names of one audience each; `kakuri_http.blocking` is the client
without an event loop.
"""

from kakuri_http._errors import (
    ClientDisconnected,
    ClientError,
    ConnectFailed,
    ConnectionBroken,
    HTTPError,
    InvalidURL,
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
from kakuri_http._headers import Headers
from kakuri_http._limits import Limits, PoolLimits, Timeouts
from kakuri_http._messages import ReceivedResponse, Request, Response
from kakuri_http._url import encode_query, percent_encode
from kakuri_http._version import __version__
from kakuri_http.client import Client, StreamedResponse
from kakuri_http.core import (
    CONNECTION_CLOSED,
    END_OF_MESSAGE,
    NEED_DATA,
    PAUSED,
    REQUEST_TABLE,
    RESPONSE_TABLE,
    ClientConnection,
    ConnectionClosed,
    Data,
    EndOfMessage,
    InterimResponse,
    NeedData,
    Paused,
    ServerConnection,
    State,
)
from kakuri_http.server import (
    AccessEntry,
    AccessLog,
    Check,
    Handler,
    Route,
    Router,
    problem,
    serve,
)

__all__ = [
    "CONNECTION_CLOSED",
    "END_OF_MESSAGE",
    "NEED_DATA",
    "PAUSED",
    "REQUEST_TABLE",
    "RESPONSE_TABLE",
    "AccessEntry",
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
    "HTTPError",
    "Handler",
    "Headers",
    "InterimResponse",
    "InvalidURL",
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
    "encode_query",
    "percent_encode",
    "problem",
    "serve",
]

for _name in __all__:  # tracebacks show where users import a name from
    _value = globals()[_name]
    if hasattr(_value, "__qualname__") and _value.__module__.startswith(f"{__name__}."):
        _value.__module__ = __name__
