"""HTTP/2 (RFC 9113) and HPACK (RFC 7541): a sans-I/O core for both roles, and asyncio drivers."""

from kakuri_http2._client import ClientConnection, PreparedRequest
from kakuri_http2._client_driver import ClientDriver
from kakuri_http2._errors import (
    ErrorCode,
    HeaderListTooLarge,
    HPACKError,
    HTTP2Error,
    LimitExceeded,
    LocalProtocolError,
    RemoteProtocolError,
)
from kakuri_http2._events import (
    ConnectionEnded,
    Data,
    Drained,
    Event,
    GoingAway,
    PingAcknowledged,
    Processed,
    Request,
    Response,
    SettingsReceived,
    StreamReset,
    Trailers,
)
from kakuri_http2._exchange import Exchange, ExchangeEnded
from kakuri_http2._limits import Limits
from kakuri_http2._receiver import Receiver
from kakuri_http2._server import ServerConnection
from kakuri_http2._server_driver import ServerDriver
from kakuri_http2._version import __version__

__all__ = [
    "ClientConnection",
    "ClientDriver",
    "ConnectionEnded",
    "Data",
    "Drained",
    "ErrorCode",
    "Event",
    "Exchange",
    "ExchangeEnded",
    "GoingAway",
    "HPACKError",
    "HTTP2Error",
    "HeaderListTooLarge",
    "LimitExceeded",
    "Limits",
    "LocalProtocolError",
    "PingAcknowledged",
    "PreparedRequest",
    "Processed",
    "Receiver",
    "RemoteProtocolError",
    "Request",
    "Response",
    "ServerConnection",
    "ServerDriver",
    "SettingsReceived",
    "StreamReset",
    "Trailers",
    "__version__",
]

for _name in __all__:  # so that tracebacks show the public name
    _value = globals()[_name]
    if hasattr(_value, "__qualname__") and _value.__module__.startswith(f"{__name__}."):
        _value.__module__ = __name__
