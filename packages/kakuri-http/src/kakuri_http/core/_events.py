"""What the core reports and sends, besides Request and Response."""

from dataclasses import dataclass

from kakuri_http._headers import Headers
from kakuri_http._messages import Request, Response

NO_HEADERS = Headers()


@dataclass(frozen=True, slots=True)
class InterimResponse:
    """A 1xx response (RFC 9110 15.2); the final response follows."""

    status: int
    headers: Headers = NO_HEADERS


@dataclass(frozen=True, slots=True)
class Data:
    """A piece of a message's content."""

    data: bytes


@dataclass(frozen=True, slots=True)
class EndOfMessage:
    """The end of a message, with the fields after its content."""

    trailers: Headers = NO_HEADERS


@dataclass(frozen=True, slots=True)
class ConnectionClosed:
    """The peer will send no more, and no message was cut off."""


@dataclass(frozen=True, slots=True)
class NeedData:
    """There is no event until `receive_data` or `receive_eof` is called."""


@dataclass(frozen=True, slots=True)
class Paused:
    """The next message waits until the current exchange has ended."""


NEED_DATA = NeedData()
PAUSED = Paused()
CONNECTION_CLOSED = ConnectionClosed()
END_OF_MESSAGE = EndOfMessage()

Event = (
    Request | Response | InterimResponse | Data | EndOfMessage | ConnectionClosed
    | NeedData | Paused
)  # fmt: skip
