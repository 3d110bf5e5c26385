"""HTTP/1.1 from the socket up: a sans-I/O core, a router, a server and a client.

Every name can be imported from here. `kakuri_http.core`, `kakuri_http.server` and
`kakuri_http.client` each have the names for one purpose; `kakuri_http.blocking` has the client
without an event loop.
"""

from importlib import import_module

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
    ResponseAborted,
    ResponseClosed,
    RouteConflict,
    RouteError,
    TooManyRedirects,
    UntrustedServer,
)
from kakuri_http._headers import Headers
from kakuri_http._limits import Limits, Timeouts
from kakuri_http._messages import ReceivedResponse, Request, Response
from kakuri_http._url import encode_query, percent_encode

TYPE_CHECKING = False  # typing.TYPE_CHECKING without importing typing
if TYPE_CHECKING:
    from kakuri_http._version import __version__
    from kakuri_http.client import Client, PoolLimits, StreamedResponse
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
    "ResponseAborted",
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

# Imported on first use: a server never imports the client, and the blocking client imports neither
# asyncio nor, for most endpoints, TLS.
_HOMES = {
    "CONNECTION_CLOSED": "core",
    "END_OF_MESSAGE": "core",
    "NEED_DATA": "core",
    "PAUSED": "core",
    "REQUEST_TABLE": "core",
    "RESPONSE_TABLE": "core",
    "AccessEntry": "server",
    "AccessLog": "server",
    "Check": "server",
    "Client": "client",
    "ClientConnection": "core",
    "ConnectionClosed": "core",
    "Data": "core",
    "EndOfMessage": "core",
    "Handler": "server",
    "InterimResponse": "core",
    "NeedData": "core",
    "Paused": "core",
    "PoolLimits": "client",
    "Route": "server",
    "Router": "server",
    "ServerConnection": "core",
    "State": "core",
    "StreamedResponse": "client",
    "__version__": "_version",
    "problem": "server",
    "serve": "server",
}


# Names that commits before the first release used.
_FORMER_NAMES = {"Access": "AccessEntry", "HttpError": "HTTPError", "InvalidUrl": "InvalidURL"}


if not TYPE_CHECKING:  # hidden: with it, type checkers accept any name

    def __getattr__(name: str) -> object:
        if name in _FORMER_NAMES:
            from warnings import warn  # noqa: PLC0415 (only here)

            warn(f"{name} is now {_FORMER_NAMES[name]}", DeprecationWarning, stacklevel=2)
            name = _FORMER_NAMES[name]
            return globals().get(name) or __getattr__(name)
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = import_module(f"{__name__}.{_HOMES[name]}")
        _publish({each: getattr(home, each) for each, at in _HOMES.items() if at == _HOMES[name]})
        return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _publish(values: dict[str, object]) -> None:
    """Bind names here, so that tracebacks show the public name."""
    for name, value in values.items():
        globals()[name] = value
        if hasattr(value, "__qualname__") and value.__module__.startswith(f"{__name__}."):
            value.__module__ = __name__


_publish({name: globals()[name] for name in __all__ if name not in _HOMES})
