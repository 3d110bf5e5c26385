"""The events that a connection reports, and the messages to send."""

import enum
from dataclasses import dataclass

from kakuri_http2._errors import RemoteProtocolError
from kakuri_http2.hpack import Field

Fields = tuple[Field, ...]


class Processed(enum.Enum):
    """Whether the peer may have processed a request whose stream ended early."""

    NO = "no"
    UNKNOWN = "unknown"


@dataclass(slots=True)
class Request:
    """The head of a request.

    Attributes:
        method: Such as `b"POST"`.
        path: `:path`, such as `b"/runtime.v1.RuntimeService/Version"`.
        authority: `:authority`, or empty if there is none.
        fields: The other fields, with names in lower case.
        scheme: `b"http"` or `b"https"`.
        end: Whether the request ends with its head.
        stream: The stream of a received request. In a client, `send` returns the stream.
    """

    method: bytes
    path: bytes
    authority: bytes = b""
    fields: Fields = ()
    scheme: bytes = b"http"
    end: bool = False
    stream: int = 0


@dataclass(slots=True)
class Response:
    """The head of a response. A status below 200 means an interim response, and others follow."""

    stream: int
    status: int
    fields: Fields = ()
    end: bool = False


@dataclass(slots=True)
class Data:
    """A piece of content.

    A received piece counts against the stream's window until `Connection.consumed` returns its
    credit.
    """

    stream: int
    data: bytes
    end: bool = False


@dataclass(slots=True)
class Trailers:
    """The fields after the content, which end the sender's side of the stream."""

    stream: int
    fields: Fields


@dataclass(slots=True)
class StreamReset:
    """A stream ended before both sides had ended it.

    Attributes:
        stream: Its number.
        code: The code of RST_STREAM, as a number because peers may send codes without a name. If
            GOAWAY or the end of the connection ended the stream, the connection's code.
        by_peer: Whether the peer ended it.
        processed: `NO` if the peer has not processed the request, so that it can be repeated.
        message: The error, if this side ended it.
    """

    stream: int
    code: int
    by_peer: bool
    processed: Processed = Processed.UNKNOWN
    message: str = ""


@dataclass(slots=True)
class Drained:
    """All queued content of a stream was sent, after some of it had to wait for a window."""

    stream: int


@dataclass(slots=True)
class SettingsReceived:
    """The peer changed its settings; `Connection.available_streams` may have changed."""


@dataclass(slots=True)
class PingAcknowledged:
    """The peer acknowledged a ping."""

    data: bytes


@dataclass(slots=True)
class GoingAway:
    """The peer accepts no more streams; those above `last_stream` were not processed."""

    last_stream: int
    code: int
    debug: bytes


@dataclass(slots=True)
class ConnectionEnded:
    """The connection has ended; no event follows.

    Attributes:
        error: The peer's violation of the protocol; None if it closed the connection.
    """

    error: RemoteProtocolError | None


Event = (
    Request | Response | Data | Trailers | StreamReset | Drained | SettingsReceived
    | PingAcknowledged | GoingAway | ConnectionEnded
)  # fmt: skip


def checked_content(content: object) -> bytes:
    """Return content as bytes; anything but bytes is copied.

    Raises:
        TypeError: It is not bytes-like.
    """
    if isinstance(content, bytes):
        return content
    try:
        return bytes(memoryview(content))  # type: ignore[arg-type]  # checked here
    except TypeError:
        got = type(content).__name__
        raise TypeError(f"expected bytes as content, got {got}") from None
