"""Requests and responses: events of the core, and what handlers and callers exchange."""

import io
import re
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from kakuri_http._errors import LocalProtocolError, RemoteProtocolError, controlled_field
from kakuri_http._headers import FieldsLike, Headers
from kakuri_http._url import parse_query

T = TypeVar("T")
Body = bytes | AsyncIterable[bytes] | Iterable[bytes] | None

# Fields of a response that only the core sets, from the body and the connection's state.
_SET_BY_CORE = frozenset({"content-length", "transfer-encoding", "connection", "date"})
_NO_FIELDS = Headers()
_RESET_CONTENT = 205  # RFC 9110 15.3.6: no content, yet a length

# Compiled when they are first used: most programs need neither of them.
_CONTENT_TYPE = r"[\x21-\x7e]+(?: [\x21-\x7e]+)*"
_JSON_TYPE = r"(?i)application/(?:[!#$&^_.+\-0-9a-z]+\+)?json[ \t]*(?:;|\Z)"
# RFC 9110 5.6.6; a quoted value may contain what looks like another parameter.
_PARAMETER = r';[ \t]*([^\s;="]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))'
_USUAL_TYPES = frozenset({None, "application/json", "application/problem+json", "text/plain"})
# Deliberately few: the server chooses the name, and some of Python's codecs are slow on some
# inputs. A byte order mark is removed.
_CODECS = {
    "utf-8": "utf-8-sig", "us-ascii": "ascii", "iso-8859-1": "iso-8859-1", "utf-16": "utf-16",
    "windows-1252": "cp1252",
}  # fmt: skip
_NO_PARAMS: Mapping[str, Any] = MappingProxyType({})

_ITERABLE = (Iterable, AsyncIterable)
_NO_PIECES = (str, bytearray, memoryview, Mapping, io.TextIOBase)
_IN_MEMORY = (list, tuple, set, frozenset, range, deque)


class BodyStream(Protocol):
    """The source from which the handler of a streaming route reads content."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...


class RepeatedHead:
    """A cached request head, shared by all requests whose head is the same, byte for byte.

    It caches only what depends on the head alone.

    Attributes:
        parts: The arguments of `Request`.
        route: The route that a router found for the head; None until then.
        params: The path parameters of that route, read-only.
        routes_version: The version of the router's routes and checks for which `route` is valid.
    """

    __slots__ = ("params", "parts", "route", "routes_version")

    def __init__(self, parts: tuple[str, str, Headers, str, str, str, int]) -> None:
        self.parts: tuple[str, str, Headers, str, str, str, int] = parts
        self.route: Any = None  # a Route of `server._router`, which imports this module
        self.params: Mapping[str, Any] = _NO_PARAMS
        self.routes_version: object = None


class Request:
    """A request, as a client's core sends it and a server's core and handlers receive it.

    Attributes:
        method: As sent; methods are case-sensitive.
        target: As sent, still percent-encoded.
        path: The target's path, still percent-encoded.
        query_string: The target's query, still percent-encoded, without the question mark.
        params: The path parameters by their names in the route's pattern, decoded once.
        headers: The fields.
        trailers: The fields after chunked content, once it has ended.
        body: All of the content, unless the route is a streaming one.
        host: The validated Host field; required by a client's core.
        length: Announced size of the content in bytes; None if the content is chunked.
        http_version: `1.1` or `1.0`.
        keep_alive: Whether the client wants to keep the connection.
        expects_continue: Whether the client waits for 100 (Continue) before it sends the content.
        peer: Address of the client, in a server.
        uid: The user of this machine who sent it, in a server; None if that is not known.
        traceparent: The value of `traceparent` (W3C Trace Context) to send with the response; a
            server's check sets it. Problem details get its trace id as the member `trace`.
        repeated_head: The cached head, in a server; None if the head is not in its cache.
    """

    # Class attributes as defaults: most requests never set these, and a server creates many.
    keep_alive = True
    expects_continue = False
    params: Mapping[str, Any] = _NO_PARAMS
    peer: object = None
    uid: int | None = None
    traceparent: str | None = None
    stream_source: BodyStream | None = None
    trailers: Headers | None = None
    body = b""
    repeated_head: RepeatedHead | None = None

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
        self.http_version = "1.1"
        self.headers = headers
        self.path = path
        self.query_string = query_string
        self.host = host
        self.length = length

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters, decoded once; the last value of a repeated name.

        Raises:
            RemoteProtocolError: The query is not percent-encoded UTF-8. A server responds with 400.
        """
        return dict(self.query_pairs)

    @property
    def query_pairs(self) -> tuple[tuple[str, str], ...]:
        """The query's parameters in order, with repeated names.

        Raises:
            RemoteProtocolError: The query is not percent-encoded UTF-8. A server responds with 400.
        """
        try:
            return parse_query(self.query_string)
        except ValueError as error:
            got = f"got {self.query_string!r:.80}"
            raise RemoteProtocolError(f"expected percent-encoded UTF-8 as query, {got}") from error

    def stream(self) -> AsyncIterator[bytes]:
        """Return an iterator over the content as it arrives.

        Raises:
            ClientDisconnected: The client disconnected before the end of the content.
            LimitExceeded: The content is larger, or comes more slowly, than `Limits` allow.
            RuntimeError: The route was not added with `streaming=True`; its content is in `body`.
        """
        if self.stream_source is None:
            raise RuntimeError("the route was not added with streaming=True; read request.body")
        return self.stream_source.__aiter__()

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target}>"


class Response:
    """A response, as a handler returns it and a server's core sends it.

    The server does not modify it, so a handler may return the same response repeatedly if its body
    is bytes.

    Attributes:
        code: Short name of the cause in problem details, for an access log.
    """

    code: str | None = None
    reason: str | None = None
    http_version = "1.1"
    keep_alive = True  # of a received one: whether the server keeps the connection
    length: int | None = None
    trailers: Headers | None = None

    def __init__(
        self,
        status: int = 200,
        body: Body = b"",
        *,
        headers: FieldsLike | None = None,
        content_type: str | None = None,
    ) -> None:
        """Create a response.

        Args:
            status: From 200 to 599.
            body: All of the content, or an iterable or async iterable of pieces, which are sent as
                they are produced: chunked, unless `length` is set to their total size in bytes.
            headers: Pairs of names and values, or a mapping. Content-Length, Transfer-Encoding,
                Connection and Date are not allowed, because the server writes them; nor is
                Content-Type together with `content_type`.
            content_type: Value of Content-Type; only sent if there is content.

        Raises:
            LocalProtocolError: The status or a field can't be sent.
            TypeError: An argument has the wrong type.
        """
        if status.__class__ is not int or not 200 <= status <= 599:
            check_status(status)
        if content_type not in _USUAL_TYPES:
            check_content_type(content_type)
        if not isinstance(body, bytes) and body is not None:
            _check_pieces(body)
        if status == _RESET_CONTENT and body:
            raise LocalProtocolError("a 205 response has no content (RFC 9110 15.3.6)")
        self.status = status
        self.body = body
        self.content_type = content_type
        if headers is None:
            self.headers: Headers = _NO_FIELDS
        else:
            self.headers = headers if isinstance(headers, Headers) else Headers(headers)
            for name, _ in self.headers._fields():
                if _is_written(name, content_type is not None):
                    raise controlled_field(name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status}>"


@lru_cache(256)
def _is_written(name: str, has_content_type: bool) -> bool:  # noqa: FBT001 - a private predicate
    """Return whether the core writes the field; Content-Type only if it is an argument."""
    lowered = name.lower()
    return lowered in _SET_BY_CORE or (has_content_type and lowered == "content-type")


def check_status(status: Any) -> None:
    """Raise TypeError or LocalProtocolError unless a response can be sent with this status."""
    if not isinstance(status, int):
        raise TypeError(f"expected an integer as status, got {type(status).__name__}")
    if not 200 <= status <= 599:
        raise LocalProtocolError(f"expected a status from 200 to 599, got {status!r}")


def check_content_type(content_type: Any) -> None:
    """Raise TypeError or LocalProtocolError unless a response can have this content type."""
    if not isinstance(content_type, str):
        got = type(content_type).__name__
        raise TypeError(f"expected a string or None as content_type, got {got}")
    if not re.fullmatch(_CONTENT_TYPE, content_type):
        raise LocalProtocolError(f"expected a content type, got {content_type!r}")


def _check_pieces(body: Any) -> None:
    if not isinstance(body, _ITERABLE) or isinstance(body, _NO_PIECES):
        raise TypeError(f"expected bytes or pieces of bytes as body, got {type(body).__name__}")
    check_pieces_in_memory(body)


def check_pieces_in_memory(body: Any) -> None:
    """If the body is a collection, raise TypeError for a piece that is not bytes-like."""
    if isinstance(body, _IN_MEMORY):
        for piece in body:
            if not isinstance(piece, bytes):
                _view_of(piece)


def piece_of(piece: Any) -> bytes:
    """Return a piece of content as bytes; raise TypeError if it is not bytes-like."""
    return piece if isinstance(piece, bytes) else bytes(_view_of(piece))


def _view_of(piece: Any) -> memoryview:
    try:
        return memoryview(piece)
    except TypeError:
        got = f"a piece of {type(piece).__name__}"
        raise TypeError(f"expected pieces of bytes as body, got {got}") from None


class ReceivedResponse(Response):
    """A response that a client received, with any status.

    Attributes:
        status: From 100 to 599.
        reason: The phrase after the status, often empty.
        headers: The fields.
        content_type: The value of Content-Type, or None.
        body: All of the content, if the client has read it.
        trailers: The fields after chunked content.
        http_version: `1.1` or `1.0`.
        keep_alive: Whether the server keeps the connection.
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

    def text(self, encoding: str | None = None) -> str:
        """Return the content as text.

        Args:
            encoding: Name of one of Python's text encodings, which overrides Content-Type. By
                default, the charset of Content-Type is used, or UTF-8 without one.

        Raises:
            RemoteProtocolError: The content can't be decoded, or the charset is not one of UTF-8,
                UTF-16, US-ASCII, ISO-8859-1 and Windows-1252.
        """
        if encoding is None:
            charset = self._charset()
            if charset not in _CODECS:
                raise RemoteProtocolError(f"expected one of {', '.join(_CODECS)} as charset, "
                                          f"got {charset!r}")  # fmt: skip
            encoding = _CODECS[charset]
        try:
            return self.body.decode(encoding)
        except UnicodeDecodeError as error:
            raise RemoteProtocolError(f"expected text as content, got bytes: {error}") from error

    def _charset(self) -> str:
        for name, quoted, token in re.findall(_PARAMETER, self.content_type or ""):
            if name.lower() == "charset" and (quoted or token):
                return (token or re.sub(r"\\(.)", r"\1", quoted)).lower()
        return "utf-8"

    def json(self, decode: Callable[[bytes], T]) -> T:
        """Decode the content as JSON with a function of the caller's choice.

        This package includes no JSON decoder. Exceptions of `decode` are passed through.

        Args:
            decode: For example `json.loads`, `kakuri_json.decode` or `Decoder(Order).decode`.

        Raises:
            RemoteProtocolError: Content-Type is not `application/json` or `application/…+json`.
        """
        if not re.match(_JSON_TYPE, self.content_type or ""):
            raise RemoteProtocolError(
                f"expected JSON as content of the {self.status} response, "
                f"got {self.content_type or 'no Content-Type'!r}"
            )
        return decode(self.body)
