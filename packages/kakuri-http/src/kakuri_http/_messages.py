"""Requests and responses: events of the core, and what handlers and callers exchange."""

import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from kakuri_http._errors import LocalProtocolError, RemoteProtocolError
from kakuri_http._headers import FieldsLike, Headers
from kakuri_http._url import parse_query


class BodyStream(Protocol):
    """What a streaming handler reads content from."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...


class Request:
    """One request.

    `method` and `target` are as sent; `path` and `query_string` the target's parts, still
    percent-encoded; `params` what the route's pattern took out of the path, decoded once;
    `headers` and `trailers` the fields; `body` the content, complete unless the route streams.
    `host` is the Host field, checked. `length` is the announced size of the content in bytes,
    None where it is chunked.
    """

    # Defaults of the class: most requests never set these, and a server makes many.
    http_version = "1.1"
    keep_alive = True
    expects_continue = False
    params: Mapping[str, Any] = MappingProxyType({})
    peer: object = None
    stream_source: BodyStream | None = None
    trailers: Headers | None = None
    body = b""

    def __init__(
        self,
        method: str,
        target: str,
        headers: Headers,
        path: str = "",
        query_string: str = "",
        host: str = "",
        length: int | None = 0,
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.path = path
        self.query_string = query_string
        self.host = host
        self.length = length

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters, decoded once; of a repeated name the last value.

        Raises RemoteProtocolError, which a server answers with 400, for a bad escape.
        """
        return dict(self.query_pairs)

    @property
    def query_pairs(self) -> tuple[tuple[str, str], ...]:
        """The query's parameters in order, with repeated names."""
        try:
            return parse_query(self.query_string)
        except ValueError as error:
            raise RemoteProtocolError(f"expected an encoded query, got {error}") from error

    def stream(self) -> AsyncIterator[bytes]:
        """Iterate over the content as it arrives; only in routes that were added as streaming.

        Ends at the content's end; raises ClientDisconnected where the client goes before that.
        """
        if self.stream_source is None:
            raise RuntimeError("expected a route added with streaming=True, got an ordinary one")
        return self.stream_source.__aiter__()

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target}>"


Body = bytes | AsyncIterable[bytes] | Iterable[bytes] | None

# What the core alone decides, from the body and the connection's state.
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "date"})
_NO_FIELDS = Headers()
_RESET_CONTENT = 205  # RFC 9110 15.3.6: no content, yet a length

_CONTENT_TYPE = re.compile(r"[\x21-\x7e]+(?: [\x21-\x7e]+)*")
_USUAL_TYPES = frozenset({None, "application/json", "application/problem+json", "text/plain"})


class Response:
    """One response.

    `body` is all of the content, or an iterable or async iterable of its pieces, which are sent
    as they come: chunked, unless `length` is set to their sum, in bytes. `content_type` is only
    stated with a body. Length, coding, `Connection` and `Date` are the server's business and may
    not be among `headers`.
    """

    reason: str | None = None
    http_version = "1.1"
    keep_alive = True  # of a received one: whether the server keeps the connection
    length: int | None = None
    trailers: Headers | None = None
    has_fields: bool = False

    def __init__(
        self,
        status: int = 200,
        body: Body = b"",
        headers: FieldsLike | None = None,
        content_type: str | None = None,
    ) -> None:
        if not isinstance(status, int):
            raise TypeError(f"expected a number as status, got {type(status).__name__}")
        if not 200 <= status <= 599:
            raise LocalProtocolError(f"expected a status from 200 to 599, got {status!r}")
        if content_type not in _USUAL_TYPES and not _CONTENT_TYPE.fullmatch(content_type or ""):
            raise LocalProtocolError(f"expected a content type, got {content_type!r}")
        if not isinstance(body, bytes) and body is not None:
            _check_pieces(body)
        if status == _RESET_CONTENT and body:
            raise LocalProtocolError("expected no content in a 205 response, got some")
        self.status = status
        self.body = body
        self.content_type = content_type
        if headers is None:
            self.headers: Headers = _NO_FIELDS
        else:
            self.has_fields = True
            self.headers = headers if isinstance(headers, Headers) else Headers(headers)
            for name, _ in self.headers:
                if name.lower() in _FRAMING:
                    raise LocalProtocolError(f"expected no framing field, got {name!r}")

    def __repr__(self) -> str:
        return f"<Response {self.status}>"


def _check_pieces(body: Any) -> None:
    is_iterable = isinstance(body, Iterable | AsyncIterable)
    if not is_iterable or isinstance(body, str | bytearray | memoryview | Mapping):
        raise TypeError(f"expected bytes or pieces of bytes as body, got {type(body).__name__}")


class ReceivedResponse(Response):
    """A response that came from a server; any status, any fields.

    `body` is all of the content, `trailers` the fields that came after it.
    """

    reason: str
    body: bytes

    def __init__(self, status: int, reason: str, headers: Headers, http_version: str) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.http_version = http_version
        self.content_type: str | None = headers.get("content-type")
        self.body = b""
