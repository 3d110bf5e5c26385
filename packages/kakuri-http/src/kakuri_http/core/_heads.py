"""The exact parser of heads, line by line as bytes arrive; all errors in heads come from it.

It collects complete lines, so that a head that arrives byte by byte is scanned only once. An
invalid line is rejected as soon as it arrives, long before the end of the head.
`parse_request_head` and `parse_response_head` turn the lines into messages (RFC 9112 3 and 4, RFC
9110 7.2). `read_framing` determines where the content of a message ends and whether the connection
persists (RFC 9112 6 and 9.3).

Content-Length and Transfer-Encoding may occur once. A repeated one is rejected even if both lines
agree, which RFC 9110 8.6 leaves to the recipient.
"""

import re
from dataclasses import dataclass

from kakuri_http._errors import LimitExceeded, RemoteProtocolError
from kakuri_http._headers import ParsedHeaders
from kakuri_http._limits import Limits
from kakuri_http._messages import ReceivedResponse, Request
from kakuri_http.core import _grammar
from kakuri_http.core._target import parse_absolute_form, parse_authority, parse_origin_form

Fields = list[tuple[bytes, bytes]]

# A length with more digits than 2**63 is not converted.
_LENGTH_DIGITS = 19
_UNUSABLE = 1 << 63
# Effectively unlimited: only a length of more than 63 bits exceeds it.
NO_BODY_LIMIT = _UNUSABLE - 1

_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(slots=True)
class Framing:
    """The framing from a head's fields; by default, `length` is None and `chunked` is False."""

    length: int | None
    chunked: bool
    close: bool
    keep_alive: bool


class HeadParser:
    """Collects one head: the start line, and the field lines up to the empty line."""

    def __init__(self, limits: Limits, *, folds: bool) -> None:
        """Create a parser.

        Args:
            limits: Bounds on the lines and their number.
            folds: Whether to replace obs-fold by a space, as user agents do (RFC 9112 5.2), instead
                of rejecting it.
        """
        self._limits = limits
        self._folds = folds
        self.size = 0
        self._empty_lines = 0
        self.start_line: bytes | None = None
        self.fields: Fields = []

    @property
    def has_begun(self) -> bool:
        """Whether anything but empty lines has arrived."""
        return self.start_line is not None

    def parse(self, data: bytes, position: int) -> tuple[bool, int]:
        """Parse the complete lines from a position on.

        Returns:
            Whether the head is complete, and the position after the last complete line.

        Raises:
            RemoteProtocolError: 400, 414 or 431.
        """
        while True:
            end = data.find(b"\n", position)
            if end < 0:
                self._check_unfinished(data, position)
                return False, position
            if end == position or data[end - 1] != 0x0D:
                raise RemoteProtocolError("expected CR LF as line end, got a bare LF")
            line = data[position : end - 1]
            position = end + 1
            if self._add_line(line):
                return True, position

    def _add_line(self, line: bytes) -> bool:
        """Add a line without its end; return whether the head is complete."""
        if b"\r" in line:
            raise RemoteProtocolError("expected CR only in a line end, got a bare CR")
        if self.start_line is None:
            if line:
                self._check_size(line)
                self.start_line = line
                return False
            self._empty_lines += 1
            if self._empty_lines > self._limits.empty_lines or self._folds:
                raise RemoteProtocolError("expected a start line, got empty lines")
            return False
        if not line:
            return True
        self._check_size(line)
        if line[0] in b" \t" and self._folds and self.fields:
            name, value = self.fields[-1]
            folded = (value + b" " + _checked_value(name, line)).strip(b" \t")
            self.fields[-1] = (name, folded)
            return False
        self.fields.append(parse_field_line(line))
        if len(self.fields) > self._limits.fields:
            raise _too_large(f"at most {self._limits.fields} fields", "fields")
        return False

    def _check_size(self, line: bytes) -> None:
        self._check_line(len(line), line)
        self.size += len(line) + 2
        if self.size > self._limits.head:
            raise _too_large(f"a head of at most {self._limits.head} bytes", "head")

    def _check_line(self, length: int, line: bytes) -> None:
        limits = self._limits
        if self.start_line is None:
            if length > limits.request_line:
                in_target = b" " in line[: limits.request_line]
                raise LimitExceeded(
                    f"expected a start line of at most {limits.request_line} bytes, got more",
                    limit="request_line",
                    status=414 if in_target else 501,
                    code="uri_too_long" if in_target else "not_implemented",
                )
        elif length > limits.field_line:
            raise _too_large(f"a field line of at most {limits.field_line} bytes", "field_line")

    def _check_unfinished(self, data: bytes, position: int) -> None:
        # One byte more than the limit: the CR.
        rest = data[position : position + max(self._limits.request_line, self._limits.field_line)]
        self._check_line(len(data) - position - 1, rest)
        if self.start_line is None and _CONTROL.search(rest):
            # Usually a TLS or HTTP/2 client: report the error now instead of after a timeout.
            raise RemoteProtocolError(f"expected a start line, got {rest[:40]!r}")


def parse_field_line(line: bytes) -> tuple[bytes, bytes]:
    """Parse `field-name ":" OWS field-value OWS` into name and value (RFC 9112 5)."""
    name, colon, value = line.partition(b":")
    if not colon or not _grammar.token.fullmatch(name):
        raise RemoteProtocolError(f"expected 'name: value' as field line, got {line[:80]!r}")
    return name, _checked_value(name, value)


def _checked_value(name: bytes, value: bytes) -> bytes:
    stripped = value.strip(b" \t")
    if not _grammar.field_value.fullmatch(stripped):
        raise RemoteProtocolError(
            f"expected no control character in field {name.decode('ascii')!r}, "
            f"got {stripped[:80]!r}"
        )
    return stripped


def _too_large(expected: str, limit: str) -> LimitExceeded:
    return LimitExceeded(
        f"expected {expected}, got more",
        limit=limit, status=431, code="header_fields_too_large",
    )  # fmt: skip


HTTP_1 = b"1"


def parse_request_head(line: bytes, fields: Fields, limits: Limits) -> tuple[Request, Framing]:
    """Return the request of a request line and its field lines, and its framing.

    Raises:
        RemoteProtocolError: 400, 413, 417, 501 or 505.
    """
    method, target, minor = parse_request_line(line)
    host = _read_host(fields, minor)
    path, query = _parse_target(method, target, host)
    framing = read_framing(fields, minor=minor)
    request = Request(
        method,
        target.decode("ascii"),
        ParsedHeaders(fields),
        path,
        query,
        host.decode("ascii"),
        None if framing.chunked else framing.length or 0,
    )
    if not minor:
        request.http_version = "1.0"
    request.keep_alive = not framing.close and (minor > 0 or framing.keep_alive)
    expectation = [value for name, value in fields if name.lower() == b"expect"]
    if expectation and minor:
        if [value.lower() for value in expectation] != [b"100-continue"]:
            raise RemoteProtocolError(
                f"expected 100-continue as expectation, got {expectation[0][:40]!r}",
                status=417, code="expectation_failed",
            )  # fmt: skip
        request.expects_continue = True
    if framing.length is not None:
        # Not even a route can raise this limit: a larger length can only be an error or an attack.
        check_body_length(framing.length, max(limits.body, NO_BODY_LIMIT))
    return request, framing


def parse_request_line(line: bytes) -> tuple[str, bytes, int]:
    """Parse `method SP request-target SP HTTP-version` into method, target and minor version.

    A minor version above 1 is processed as 1 (RFC 9110 2.5).
    """
    parts = line.split(b" ")
    if len(parts) != 3 or not all(parts):
        raise RemoteProtocolError(f"expected 'method target version', got {line[:80]!r}")
    method, target, version = parts
    if not _grammar.token.fullmatch(method):
        raise RemoteProtocolError(f"expected a method, got {method[:40]!r}")
    match = _grammar.http_version.fullmatch(version)
    if match is None:
        raise RemoteProtocolError(f"expected HTTP/1.1 as version, got {version[:40]!r}")
    if match[1] != HTTP_1:
        raise RemoteProtocolError(
            f"expected HTTP/1.1 as version, got {version!r}",
            status=505, code="version_not_supported",
        )  # fmt: skip
    return method.decode("ascii"), target, min(int(match[2]), 1)


def _read_host(fields: Fields, minor: int) -> bytes:
    hosts = [value for name, value in fields if name.lower() == b"host"]
    if not hosts and not minor:
        return b""
    if len(hosts) != 1:
        raise RemoteProtocolError(f"expected one Host field, got {len(hosts)}")
    if parse_authority(hosts[0]) is None:
        raise RemoteProtocolError(f"expected host or host:port as Host, got {hosts[0][:80]!r}")
    return hosts[0]


def _parse_target(method: str, target: bytes, host: bytes) -> tuple[str, str]:
    if method == "CONNECT":
        # There are no tunnels. Rejected here, because the bytes that follow are not meant for us.
        raise RemoteProtocolError(
            "expected a method other than CONNECT", status=501, code="not_implemented"
        )
    if target[:1] == b"/":
        return parse_origin_form(target)
    if target == b"*" and method == "OPTIONS":
        return "*", ""
    return parse_absolute_form(target, host)


def not_a_status_line(line: bytes) -> RemoteProtocolError:
    """Return the error for something else in place of a status line."""
    return RemoteProtocolError(f"expected 'HTTP/1.1 status reason', got {line[:80]!r}")


def parse_response_head(line: bytes, fields: Fields) -> tuple[ReceivedResponse, Framing]:
    """Return the response of a status line and its field lines, possibly a 1xx, and its framing.

    Raises:
        RemoteProtocolError: A line is not valid.
    """
    match = _grammar.status_line.fullmatch(line)
    if match is None:
        raise not_a_status_line(line)
    minor = min(int(match[1]), 1)
    framing = read_framing(fields, minor=minor)
    reason = (match[3] or b"").decode("latin-1")
    headers = ParsedHeaders(fields)
    response = ReceivedResponse(int(match[2]), reason, headers, "1.1" if minor else "1.0")
    # HTTP/1.0's keep-alive is ignored: a proxy may have passed it on unread (RFC 9112 C.2.2).
    response.keep_alive = not framing.close and minor > 0
    response.length = framing.length
    return response, framing


def read_framing(fields: Fields, *, minor: int) -> Framing:
    """Return the framing of Content-Length, Transfer-Encoding and Connection in HTTP/1.`minor`.

    Raises:
        RemoteProtocolError: 400, or 501 for a transfer coding other than chunked.
    """
    lengths: list[bytes] = []
    codings: list[bytes] = []
    options: set[bytes] = set()
    for name, value in fields:
        key = name.lower()
        if key == b"content-length":
            lengths.append(value)
        elif key == b"transfer-encoding":
            codings.append(value)
        elif key == b"connection":
            options.update(option.strip(b" \t").lower() for option in value.split(b","))
    chunked = _is_chunked(codings, minor) if codings else False
    if chunked and lengths:
        # RFC 9112 6.3 rule 3: an attempt at request smuggling, "ought to be handled as an error".
        raise RemoteProtocolError("expected content-length or transfer-encoding, got both")
    length = _parse_length(lengths) if lengths else None
    return Framing(length, chunked, close=b"close" in options, keep_alive=b"keep-alive" in options)


def _is_chunked(codings: list[bytes], minor: int) -> bool:
    if len(codings) == 1 and codings[0].lower() == b"chunked":
        if minor == 0:
            # RFC 9112 6.1: "MUST treat the message as if the framing is faulty"
            raise RemoteProtocolError("expected no transfer-encoding in HTTP/1.0, got chunked")
        return True
    found = b", ".join(codings)
    has_chunked = b"chunked" in found.lower()
    raise RemoteProtocolError(
        f"expected chunked as the only transfer coding, got {found[:80]!r}",
        status=400 if has_chunked else 501,
        code="bad_request" if has_chunked else "not_implemented",
    )


def _parse_length(lengths: list[bytes]) -> int:
    value = lengths[0]
    if len(lengths) > 1:
        raise RemoteProtocolError(f"expected one content-length, got {len(lengths)}")
    if not _grammar.content_length.fullmatch(value):
        raise RemoteProtocolError(f"expected digits as content-length, got {value[:40]!r}")
    digits = value.lstrip(b"0") or b"0"
    return int(digits) if len(digits) <= _LENGTH_DIGITS else _UNUSABLE


def check_body_length(length: int, limit: int) -> None:
    """Raise LimitExceeded (413) if a length exceeds the limit."""
    if length > limit:
        shown = str(length) if length < _UNUSABLE else "more than 2**63"
        raise LimitExceeded(
            f"expected content of at most {limit} bytes, got {shown}",
            limit="body", status=413, code="content_too_large",
        )  # fmt: skip
