"""Writes heads: start line, fields and framing (RFC 9112 3, 4 and 6)."""

import re
import time
from typing import Any

from kakuri_http._errors import LocalProtocolError, controlled_field
from kakuri_http._headers import Headers
from kakuri_http._limits import check_count, checked
from kakuri_http._messages import Request, Response, check_content_type, check_status
from kakuri_http.core._states import InterimResponse
from kakuri_http.core._target import parse_authority

REASONS = {
    100: "Continue", 101: "Switching Protocols", 102: "Processing", 103: "Early Hints",
    200: "OK", 201: "Created", 202: "Accepted", 203: "Non-Authoritative Information",
    204: "No Content", 205: "Reset Content", 206: "Partial Content",
    300: "Multiple Choices", 301: "Moved Permanently", 302: "Found", 303: "See Other",
    304: "Not Modified", 307: "Temporary Redirect", 308: "Permanent Redirect",
    400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden",
    404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable",
    407: "Proxy Authentication Required", 408: "Request Timeout", 409: "Conflict", 410: "Gone",
    411: "Length Required", 412: "Precondition Failed", 413: "Content Too Large",
    414: "URI Too Long", 415: "Unsupported Media Type", 416: "Range Not Satisfiable",
    417: "Expectation Failed", 421: "Misdirected Request", 422: "Unprocessable Content",
    425: "Too Early", 426: "Upgrade Required", 428: "Precondition Required",
    429: "Too Many Requests", 431: "Request Header Fields Too Large",
    451: "Unavailable For Legal Reasons",
    500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway",
    503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported",
    507: "Insufficient Storage", 511: "Network Authentication Required",
}  # fmt: skip


# A response with one of these ends with its head, as do all 1xx (RFC 9112 6.3, rule 1).
WITHOUT_CONTENT = frozenset({204, 304})


_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET = re.compile(r"[\x21-\x22\x24-\x7e]+")
# Fields that are only written from a message's attributes: if one occurred twice, two recipients
# could see two different messages.
_CONTROLLED_FIELDS = frozenset({"host", "content-length", "transfer-encoding", "connection"})
_TRACE_LENGTH = 55
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


def imf_fixdate(seconds: float) -> str:
    """Return a time, in seconds since 1970, as IMF-fixdate (RFC 9110 5.6.7)."""
    at = time.gmtime(seconds)
    return (
        f"{_DAYS[at.tm_wday]}, {at.tm_mday:02} {_MONTHS[at.tm_mon - 1]} {at.tm_year:04} "
        f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} GMT"
    )


class ResponseHeads:
    """The beginnings of response heads, cached for a second because of Date."""

    _MAX_CACHED = 256

    def __init__(self) -> None:
        self._since = 0.0
        self._until = 0.0
        self._date = ""
        self._beginnings: dict[tuple[int, str | None], bytes] = {}

    def beginning(self, status: int, content_type: str | None) -> bytes:
        """Return the status line, Date and Content-Type."""
        now = time.time()
        if not self._since <= now < self._until:
            self._since = float(int(now))  # mypyc accepts no int for a float
            self._until = self._since + 1.0
            self._date = imf_fixdate(now)
            self._beginnings.clear()
        key = (status, content_type)
        beginning = self._beginnings.get(key)
        if beginning is None:
            # Check again: the attributes of a response can be assigned after its constructor has
            # checked them. An Enum, or another subclass of int or str, may format itself in any
            # way.
            check_status(status)
            code, reason = int.__repr__(status), REASONS.get(status, "")
            head = f"HTTP/1.1 {code} {reason}\r\nDate: {self._date}\r\n"
            if content_type is not None:
                check_content_type(content_type)
                head += "".join(("Content-Type: ", content_type, "\r\n"))
            beginning = head.encode("ascii")
            if len(self._beginnings) < self._MAX_CACHED:
                self._beginnings[key] = beginning
        return beginning


response_beginning = ResponseHeads().beginning


def compose_response_head(
    response: Response,
    *,
    length: int | None,
    chunked: bool,
    option: bytes,
    trace: bytes = b"",
) -> bytes:
    """Return the head of a response.

    Args:
        response: The response.
        length: Bytes of its content, if they are known.
        chunked: Whether its content is chunked.
        option: The value of Connection, or empty.
        trace: The line of `traceparent`, or empty.
    """
    status = response.status
    has_content = status not in WITHOUT_CONTENT
    parts = [
        response_beginning(status, response.content_type if has_content else None),
        response.headers.lines,
        trace,
    ]
    if not has_content:
        pass  # RFC 9110 8.6 and RFC 9112 6.1: no length and no coding where there is no content
    elif chunked:
        parts.append(b"Transfer-Encoding: chunked\r\n")
    elif length is not None:
        parts.append(b"Content-Length: %d\r\n" % length)
    if option:
        parts.append(b"Connection: %b\r\n" % option)
    parts.append(b"\r\n")
    return b"".join(parts)


def compose_trace(trace: Any) -> bytes:
    """Return the line of the field `traceparent` (W3C Trace Context, section 3.2).

    Raises:
        LocalProtocolError: The value does not have the characters and the length of version 00.
    """
    # The caller is responsible for the exact form; this only prevents injection into the head.
    is_text = isinstance(trace, str) and trace.isascii() and trace.isprintable()
    if not is_text or len(trace) != _TRACE_LENGTH:
        raise LocalProtocolError(f"expected a traceparent of version 00, got {trace!r}")
    return b"traceparent: %b\r\n" % trace.encode("ascii")


def compose_interim(response: InterimResponse) -> bytes:
    """Return a 1xx response, which has neither Date nor length.

    Raises:
        LocalProtocolError: It has a framing field (RFC 9110 8.6, RFC 9112 6.1).
    """
    _reject_controlled_fields(response.headers)
    status = response.status
    line = b"HTTP/1.1 %d %b\r\n" % (status, REASONS.get(status, "").encode("ascii"))
    return b"%b%b\r\n" % (line, response.headers.lines)


def _reject_controlled_fields(headers: Headers) -> None:
    for name, _ in headers:
        if name.lower() in _CONTROLLED_FIELDS:
            raise controlled_field(name)


def compose_request_head(request: Request) -> bytes:
    """Return the head of a request, with Host first and the framing last.

    Raises:
        LocalProtocolError: The method, target or host is not valid, or a field is one that is
            written from `host`, `length` and `keep_alive`.
        TypeError: One of them has the wrong type.
        ValueError: The length is negative.
    """
    method = checked(request.method, str, "method")
    target = checked(request.target, str, "target")
    checked(request.host, str, "host")
    checked(request.headers, Headers, "headers")
    if request.length is not None:
        check_count(request.length, "length")
    if not _METHOD.fullmatch(method) or method == "CONNECT":
        raise LocalProtocolError(f"expected a method such as GET, not CONNECT, got {method!r}")
    if not _TARGET.fullmatch(target) or not (target[0] == "/" or target == "*"):
        raise LocalProtocolError(f"expected an origin-form target, got {target!r}")
    if parse_authority(request.host.encode("utf-8", "replace")) is None:
        raise LocalProtocolError(f"expected host or host:port as host, got {request.host!r}")
    _reject_controlled_fields(request.headers)
    # `join`, not an f-string: see `Headers.lines`.
    start = "".join((method, " ", target, " HTTP/1.1\r\nHost: ", request.host, "\r\n"))
    lines = [start.encode("ascii"), request.headers.lines]
    if request.length is None:
        lines.append(b"Transfer-Encoding: chunked\r\n")
    elif request.length or method not in {"GET", "HEAD", "DELETE", "OPTIONS", "TRACE"}:
        lines.append(b"Content-Length: %d\r\n" % request.length)
    if request.expects_continue:
        lines.append(b"Expect: 100-continue\r\n")
    if not request.keep_alive:
        lines.append(b"Connection: close\r\n")
    lines.append(b"\r\n")
    return b"".join(lines)
