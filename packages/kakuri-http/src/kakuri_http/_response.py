"""A response: what a handler returns, and an event of the core."""

import re
from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any

from kakuri_http._errors import LocalProtocolError
from kakuri_http._headers import Headers

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
        headers: Headers | Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
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
