"""The sans-I/O core: bytes in, events out, for both sides of an HTTP/1.1 connection."""

from kakuri_http._headers import Headers
from kakuri_http._limits import Limits
from kakuri_http._messages import ReceivedResponse, Request, Response
from kakuri_http.core._client import ClientConnection, ClientEvent
from kakuri_http.core._server import ServerConnection, ServerEvent
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
