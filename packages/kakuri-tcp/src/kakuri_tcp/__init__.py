"""Endpoints, servers, clients and line framing over TCP and Unix sockets."""

from kakuri_tcp._connect import connect
from kakuri_tcp._connection import Connection
from kakuri_tcp._endpoint import Endpoint
from kakuri_tcp._errors import (
    ClientClosed,
    ConnectFailed,
    ConnectionFault,
    ConnectionLost,
    EndpointError,
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
    UntrustedServer,
    WriteTimeout,
)
from kakuri_tcp._limits import LineClientLimits, LineServerLimits, ServerLimits
from kakuri_tcp._line_client import LineClient
from kakuri_tcp._line_server import FaultHandler, LineHandler, listen_lines
from kakuri_tcp._lines import LineDecoder
from kakuri_tcp._listeners import ListeningSockets, open_listening_sockets
from kakuri_tcp._peers import Credentials
from kakuri_tcp._server import Counters, Server, listen
from kakuri_tcp._tls import ClientTLS, ServerTLS
from kakuri_tcp._unix import UnixAccess
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
    "HandlerFailed",
    "IdleTimeout",
    "IncompleteLine",
    "LineClient",
    "LineClientLimits",
    "LineDecoder",
    "LineError",
    "LineHandler",
    "LineServerLimits",
    "LineTooLong",
    "ListenFailed",
    "ListeningSockets",
    "Overloaded",
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
    "UnixAccess",
    "UntrustedServer",
    "WriteTimeout",
    "__version__",
    "connect",
    "listen",
    "listen_lines",
    "open_listening_sockets",
]

for _name in __all__:  # tracebacks show where users import a name from
    _value = globals()[_name]
    if hasattr(_value, "__qualname__") and _value.__module__.startswith(f"{__name__}."):
        _value.__module__ = __name__
