"""The sans-I/O core: bytes in, events out, for both sides of an HTTP/1.1 connection."""

from kakuri_http._headers import Headers
from kakuri_http._limits import Limits
from kakuri_http._messages import ReceivedResponse, Request, Response
from kakuri_http.core._client import ClientConnection, ClientEvent
from kakuri_http.core._states import (
    CONNECTION_CLOSED,
    END_OF_MESSAGE,
    NEED_DATA,
    PAUSED,
    REQUEST_TABLE,
    RESPONSE_TABLE,
    ConnectionClosed,
    Data,
    EndOfMessage,
    InterimResponse,
    NeedData,
    Paused,
    State,
)

TYPE_CHECKING = False  # typing.TYPE_CHECKING without importing typing
if TYPE_CHECKING:
    from kakuri_http.core._server import ServerConnection, ServerEvent

__all__ = [
    "CONNECTION_CLOSED",
    "END_OF_MESSAGE",
    "NEED_DATA",
    "PAUSED",
    "REQUEST_TABLE",
    "RESPONSE_TABLE",
    "ClientConnection",
    "ClientEvent",
    "ConnectionClosed",
    "Data",
    "EndOfMessage",
    "Headers",
    "InterimResponse",
    "Limits",
    "NeedData",
    "Paused",
    "ReceivedResponse",
    "Request",
    "Response",
    "ServerConnection",
    "ServerEvent",
    "State",
]


if not TYPE_CHECKING:  # hidden: with it, type checkers accept any name

    def __getattr__(name: str) -> object:
        # Imported on first use: clients don't need them.
        if name not in ("ServerConnection", "ServerEvent"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from kakuri_http.core import _server  # noqa: PLC0415 (as above)

        return getattr(_server, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
