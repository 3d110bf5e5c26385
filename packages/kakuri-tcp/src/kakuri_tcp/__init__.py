"""Endpoints, servers, clients and line framing over TCP and Unix sockets.

Most names are imported on first use, so that a program that only uses `kakuri_tcp.blocking` never
loads asyncio, nor `ssl` unless it uses TLS.
"""

from importlib import import_module
from sys import modules

from kakuri_tcp._endpoint import Endpoint
from kakuri_tcp._errors import (
    ClientClosed,
    ConnectFailed,
    ConnectionFault,
    ConnectionLost,
    EndpointError,
    ForbiddenUser,
    HandlerFailed,
    IdleTimeout,
    IncompleteLine,
    LineError,
    LineTooLong,
    ListenFailed,
    Overloaded,
    RequestLost,
    RequestNotSent,
    RequestTimeout,
    TCPError,
    TLSSettingsError,
    TooManyRequests,
    UnexpectedProtocol,
    UnrequestedLine,
    UntrustedServer,
    WriteTimeout,
)

TYPE_CHECKING = False  # typing.TYPE_CHECKING without importing typing
if TYPE_CHECKING:
    from kakuri_tcp._connect import connect
    from kakuri_tcp._connection import Connection
    from kakuri_tcp._kernel import Outstanding
    from kakuri_tcp._late_replies import LargeReply
    from kakuri_tcp._limits import ServerLimits
    from kakuri_tcp._line_client import LineClient
    from kakuri_tcp._line_client_connection import ReplyReceiver
    from kakuri_tcp._line_limits import LineClientLimits, LineServerLimits
    from kakuri_tcp._line_server import listen_lines
    from kakuri_tcp._line_server_connection import FaultHandler, LineHandler
    from kakuri_tcp._lines import LineDecoder
    from kakuri_tcp._listeners import ListeningSockets, open_listening_sockets
    from kakuri_tcp._local_access import LocalAccess
    from kakuri_tcp._peers import Credentials
    from kakuri_tcp._repeat_cache import RepeatCache
    from kakuri_tcp._server import Counters, Server, listen
    from kakuri_tcp._tls import ClientTLS, ServerTLS
    from kakuri_tcp._version import __version__

__all__ = [
    "ClientClosed",
    "ClientTLS",
    "ConnectFailed",
    "Connection",
    "ConnectionFault",
    "ConnectionLost",
    "Counters",
    "Credentials",
    "Endpoint",
    "EndpointError",
    "FaultHandler",
    "ForbiddenUser",
    "HandlerFailed",
    "IdleTimeout",
    "IncompleteLine",
    "LargeReply",
    "LineClient",
    "LineClientLimits",
    "LineDecoder",
    "LineError",
    "LineHandler",
    "LineServerLimits",
    "LineTooLong",
    "ListenFailed",
    "ListeningSockets",
    "LocalAccess",
    "Outstanding",
    "Overloaded",
    "RepeatCache",
    "ReplyReceiver",
    "RequestLost",
    "RequestNotSent",
    "RequestTimeout",
    "Server",
    "ServerLimits",
    "ServerTLS",
    "TCPError",
    "TLSSettingsError",
    "TooManyRequests",
    "UnexpectedProtocol",
    "UnrequestedLine",
    "UntrustedServer",
    "WriteTimeout",
    "__version__",
    "connect",
    "listen",
    "listen_lines",
    "open_listening_sockets",
]

_HOMES = {
    "ClientTLS": "_tls",
    "Connection": "_connection",
    "Counters": "_server",
    "Credentials": "_peers",
    "FaultHandler": "_line_server_connection",
    "LargeReply": "_late_replies",
    "LineClient": "_line_client",
    "LineClientLimits": "_line_limits",
    "LineDecoder": "_lines",
    "LineHandler": "_line_server_connection",
    "LineServerLimits": "_line_limits",
    "ListeningSockets": "_listeners",
    "LocalAccess": "_local_access",
    "Outstanding": "_kernel",
    "RepeatCache": "_repeat_cache",
    "ReplyReceiver": "_line_client_connection",
    "Server": "_server",
    "ServerLimits": "_limits",
    "ServerTLS": "_tls",
    "__version__": "_version",
    "connect": "_connect",
    "listen": "_server",
    "listen_lines": "_line_server",
    "open_listening_sockets": "_listeners",
}


if not TYPE_CHECKING:  # hidden: with it, type checkers accept any name

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import_module(f"{__name__}.{_HOMES[name]}")
        _publish()
        return globals()[name]


def _publish() -> None:
    """Bind the names of each loaded module here, so that tracebacks show the public name."""
    for name in __all__:
        home = modules.get(f"{__name__}.{_HOMES[name]}") if name in _HOMES else modules[__name__]
        value = getattr(home, name) if home is not None else None
        if value is not None:
            globals()[name] = value
            if hasattr(value, "__qualname__") and value.__module__.startswith(f"{__name__}."):
                value.__module__ = __name__


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


_publish()
