"""Code that both clients share: methods, the requests of a call, and errors of responses.

A call sends one request, and one more after each redirect.
"""

import io
from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any, Generic, NamedTuple, TypedDict, TypeVar, Unpack

from kakuri_tcp import Endpoint

from kakuri_http._errors import (
    ConnectionBroken,
    HTTPError,
    InvalidURL,
    RemoteProtocolError,
    RequestTimeout,
    TooManyRedirects,
    controlled_field,
)
from kakuri_http._headers import FieldsLike, Headers
from kakuri_http._limits import Timeouts, check_count, checked
from kakuri_http._messages import Request, Response, check_pieces_in_memory
from kakuri_http._url import URL, Params, encode_location, parse_url, resolve, with_query
from kakuri_http.core._connection import TruncatedMessage

BodyT = TypeVar("BodyT")
ResultT = TypeVar("ResultT")
Body = bytes | bytearray | memoryview | AsyncIterable[bytes] | Iterable[bytes] | None
Content = bytes | AsyncIterable[bytes] | Iterable[bytes]


class RequestOptions(TypedDict, total=False):
    """The arguments of `request` except method, URL and body."""

    headers: FieldsLike
    params: Params
    timeouts: Timeouts | None
    redirects: int


class Methods(Generic[BodyT, ResultT]):
    """`get`, `post` and the other methods, which call `request`."""

    def _request(
        self, method: str, url: str, body: BodyT | bytes, options: RequestOptions
    ) -> ResultT:
        raise NotImplementedError

    def get(self, url: str, **options: Unpack[RequestOptions]) -> ResultT:
        """Send a GET request; `options` as for `request`."""
        return self._request("GET", url, b"", options)

    def head(self, url: str, **options: Unpack[RequestOptions]) -> ResultT:
        """Send a HEAD request; `options` as for `request`. The response has no content."""
        return self._request("HEAD", url, b"", options)

    def post(
        self, url: str, body: BodyT | bytes = b"", **options: Unpack[RequestOptions]
    ) -> ResultT:
        """Send a POST request; `body` and `options` as for `request`."""
        return self._request("POST", url, body, options)

    def put(
        self, url: str, body: BodyT | bytes = b"", **options: Unpack[RequestOptions]
    ) -> ResultT:
        """Send a PUT request; `body` and `options` as for `request`."""
        return self._request("PUT", url, body, options)

    def patch(
        self, url: str, body: BodyT | bytes = b"", **options: Unpack[RequestOptions]
    ) -> ResultT:
        """Send a PATCH request; `body` and `options` as for `request`."""
        return self._request("PATCH", url, body, options)

    def delete(self, url: str, **options: Unpack[RequestOptions]) -> ResultT:
        """Send a DELETE request; `options` as for `request`."""
        return self._request("DELETE", url, b"", options)


def content_of(body: Any, *, is_async: bool) -> Content:
    """Return the content to send: bytes, or an iterable of pieces.

    Nothing is guessed: a str has no encoding, and an object that can't be sent must not turn into
    empty content.

    Args:
        body: A bytes-like object, an iterable of pieces, or None for no content.
        is_async: Whether the client can also send from an asynchronous iterable.

    Raises:
        TypeError: The body has the wrong type.
    """
    if isinstance(body, bytes):
        return body
    if body is None:
        return b""
    if not isinstance(body, str | Mapping | io.TextIOBase):
        try:
            return bytes(memoryview(body))
        except TypeError:
            pass  # not bytes-like
        check_pieces_in_memory(body)
        if isinstance(body, Iterable) or (is_async and isinstance(body, AsyncIterable)):
            return body
    kinds = "an iterable or async iterable" if is_async else "an iterable"
    raise TypeError(f"expected bytes, or {kinds} of bytes as body, got {type(body).__name__}")


CONTINUE = 100
CONTINUE_WAIT = 1.0
"""Seconds that a request with `Expect: 100-continue` waits for a response, as long as curl."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SEE_OTHER = 303
_MAY_REPLACE_POST = frozenset({301, 302})
_CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})
_CONTROLLED = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"}
)


class ClientRequest(NamedTuple):
    """A request as the caller described it, with an unresolved URL."""

    method: str
    url: str
    headers: Headers
    body: Content

    @classmethod
    def of(
        cls,
        method: str,
        url: str,
        body: Any,
        headers: FieldsLike,
        params: Params,
        *,
        is_async: bool,
    ) -> "ClientRequest":
        """Check a call's arguments and return its request; `is_async` as for `content_of`."""
        checked(method, str, "method")
        content = content_of(body, is_async=is_async)
        return cls(method, with_query(url, params), Headers(headers), content)


def make_request(request: ClientRequest, url: URL) -> Request:
    """Return the head to send, with the content if that is bytes.

    `Expect: 100-continue` among the fields is ignored if there is no content.

    Raises:
        LocalProtocolError: A field is one that the library controls.
    """
    fields, body = request.headers, request.body
    for name, _ in fields:
        if name.lower() in _CONTROLLED:
            raise controlled_field(name)
    expects = (fields.get("expect") or "").lower() == "100-continue"
    if expects:
        fields = Headers([field for field in fields if field[0].lower() != "expect"])
    length = len(body) if isinstance(body, bytes) else None
    head = Request(request.method, url.target, fields, host=url.host, length=length)
    if isinstance(body, bytes) and not expects:
        head.body = body
    head.expects_continue = expects and length != 0
    return head


class Redirects:
    """The redirects that one call follows, at most `limit` of them."""

    def __init__(self, limit: int, endpoint: Endpoint | None) -> None:
        check_count(limit, "redirects")
        self._limit = limit
        self._endpoint = endpoint
        self._locations: list[str] = []

    def next_request(self, request: ClientRequest, response: Response) -> ClientRequest | None:
        """Return the request to send after a response, or None if the response is the result.

        Raises:
            InvalidURL: The response has different Location fields, or the location is not an http
                or https URL, or downgrades https to http.
            TooManyRedirects: `limit` redirects have been followed.
        """
        if not self._limit:
            return None
        following = follow_redirect(request, response, self._endpoint)
        if following is None:
            return None
        if len(self._locations) == self._limit:
            raise TooManyRedirects(f"redirected more than {self._limit} times", self._locations)
        self._locations.append(following.url)
        return following


def follow_redirect(
    request: ClientRequest, response: Response, endpoint: Endpoint | None
) -> ClientRequest | None:
    """Return the request that a redirect asks for, or None if the response is not a redirect.

    As in browsers, GET replaces POST (RFC 9110 15.4.2), and any method after a 303 (15.4.4).
    Credentials are removed when the origin changes. Content that was sent in pieces can't be sent
    again, so a redirect that needs it is not followed.

    Raises:
        InvalidURL: The response has different Location fields, or the location is not an http or
            https URL, or downgrades https to http.
    """
    if response.status not in _REDIRECTS:
        return None
    locations = set(response.headers.get_all("location"))
    if not locations:
        return None
    if len(locations) > 1:
        raise InvalidURL(f"expected one Location, got {len(locations)} different ones")
    location = locations.pop()
    current = parse_url(request.url, endpoint)
    url = resolve(encode_location(location), current)
    try:
        target = parse_url(url, endpoint)
    except InvalidURL as error:
        raise InvalidURL(f"can't follow the redirect from {request.url!r}: {error}") from None
    if current.origin.startswith("https:") and not target.origin.startswith("https:"):
        raise InvalidURL(f"expected a location with https, got {location!r}")
    headers = request.headers
    if target.origin != current.origin:
        headers = Headers([field for field in headers if field[0].lower() not in _CREDENTIALS])
    replaces_post = response.status in _MAY_REPLACE_POST and request.method == "POST"
    if replaces_post or (response.status == _SEE_OTHER and request.method not in {"GET", "HEAD"}):
        kept = [field for field in headers if not field[0].lower().startswith("content-")]
        return ClientRequest("GET", url, Headers(kept), b"")
    if not isinstance(request.body, bytes):
        return None
    return request._replace(url=url, headers=headers)


def connection_closed(peer: str) -> ConnectionBroken:
    """Return the error for a connection that closed before the response was complete."""
    return ConnectionBroken(f"{peer} closed the connection before the response was complete")


_TIMED_OUT = {
    "write": "{} read nothing of the request for {} s",
    "read": "{} did not respond within {} s",
    "total": "the response from {} was not complete within {} s",
}


def request_timeout(phase: str, server: object, seconds: float | None) -> RequestTimeout:
    """Return the error for a timeout that passed.

    Args:
        phase: The name of the timeout: "write", "read" or "total".
        server: The server, or what was requested of it.
        seconds: The timeout.
    """
    return RequestTimeout(_TIMED_OUT[phase].format(server, seconds), phase=phase)


def response_fault(error: RemoteProtocolError, peer: str) -> HTTPError:
    """Return the error that a client raises for an error of its core.

    A truncated response is not a protocol violation: the server process ended or the network
    failed. It is therefore a broken connection, whether it was closed or reset.
    """
    if not isinstance(error, TruncatedMessage):
        return error
    broken = connection_closed(peer)
    broken.__cause__ = error
    return broken
