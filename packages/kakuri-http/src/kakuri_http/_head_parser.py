"""The exact parser of heads: line by line, as the bytes arrive; it alone writes errors.

It is given lines, not positions, so that a head that comes byte by byte is looked at once: only
the last, unfinished line is kept. What is wrong is refused with the line that shows it, long
before the head's end.
"""

import re

from kakuri_http import _grammar
from kakuri_http._errors import LimitExceeded, RemoteProtocolError
from kakuri_http._framing import Fields
from kakuri_http._limits import Limits

_NOT_IN_START_LINE = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class HeadParser:
    """Collects one head: its start line, and the field lines up to the empty one."""

    def __init__(self, limits: Limits, *, folds: bool) -> None:
        """`folds`: replace obs-fold by a space (RFC 9112 5.2, for user agents) or refuse it."""
        self._limits = limits
        self._folds = folds
        self.size = 0
        self._empty_lines = 0
        self.start_line: bytes | None = None
        self.fields: Fields = []

    @property
    def has_begun(self) -> bool:
        """Tell whether anything but empty lines has come."""
        return self.start_line is not None

    def parse(self, data: bytes, position: int) -> tuple[bool, int]:
        """Take the complete lines of `data` from `position`; return (head is complete, next).

        Raises RemoteProtocolError: 400, 414 or 431.
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
            if self._take_line(line):
                return True, position

    def _take_line(self, line: bytes) -> bool:
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
        # One byte more than the line may have: its CR.
        rest = data[position : position + max(self._limits.request_line, self._limits.field_line)]
        self._check_line(len(data) - position - 1, rest)
        if self.start_line is None and _NOT_IN_START_LINE.search(rest):
            # Most of all a TLS or HTTP/2 client: it is told at once, not when its time is over.
            raise RemoteProtocolError(f"expected a start line, got {rest[:40]!r}")


def parse_field_line(line: bytes) -> tuple[bytes, bytes]:
    """Split `field-name ":" OWS field-value OWS` (RFC 9112 5)."""
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
