"""The fast reading of a request's head: one expression for the usual spelling.

It matches only heads that the exact parser accepts too, with the same result; all others go to
that parser. A property test compares the two. Not matched, and so left to the exact parser:
escapes, dot segments and empty segments in a path, other versions, other methods,
Transfer-Encoding, Expect, Connection with anything but keep-alive, IPv6 hosts, a missing or
repeated Host, a repeated Content-Length, unusual case in the names that matter, and heads near any
limit.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from kakuri_http._headers import LazyHeaders
from kakuri_http._limits import Limits
from kakuri_http._messages import Request

# Groups: 1 method, 2 path, 3 query, 4 the field lines, 5 host, 6 length.
# `(?(5)(?!))` fails where the group has matched before: Host and Content-Length come once.
# The alternatives begin with different characters, so `re` enters only the one that can match, and
# `(?:…|)` is quicker than `(?:…)?`. Groups are not repeated possessively (see _grammar); a near
# miss takes linear time all the same, as giving back lines never finds another match.
_REST_OF_FIELD = rb"[!\#$%&'*+\-.^_`|~0-9A-Za-z]*+:[\t\x20-\x7e\x80-\xff]*+"
_LINE = rb"""
(GET|POST|DELETE|PUT|PATCH|HEAD|OPTIONS)\ (/[A-Za-z0-9\-._~!$&'()*+,;=:@/]*+)
(?:\?([A-Za-z0-9\-._~!$&'()*+,;=:@/?\[\]|{}\\^`]*+)|)
\ HTTP/1\.1\r\n
"""
_PATTERN = rb"""
LINE
((?:
  (?: [!\#$%&'*+\-.^_`|~0-9ABDFGI-SU-Zabdfgi-su-z]REST
    | [Hh](?: ost:(?(5)(?!))[ ]?([A-Za-z0-9\-._~]++(?::(?:6[0-4][0-9]{3}|[1-5]?[0-9]{1,4})|))
            | (?!(?i:ost):)REST)
    | [Cc](?: ontent-(?: [Tt]ype:[\t\x20-\x7e\x80-\xff]*+
                       | [Ll]ength:(?(6)(?!))[ ]?([0-9]{1,15})
                       | (?!(?i:length):)REST)
            | onnection:[ ]?[Kk]eep-[Aa]live
            | (?![Oo][Nn])REST
            | (?!(?i:ontent-length|onnection):)REST)
    | (?:[Tt](?!(?i:ransfer-encoding):)|[Ee](?!(?i:xpect):))REST
  )\r\n
){1,MOST})\r\n
""".replace(b"REST", _REST_OF_FIELD).replace(b"LINE", _LINE)

_LONGEST_KEPT = 512
"""Bytes of field lines that are kept for the next request: those of most programs, not those of
browsers, so that many idle connections take little memory."""

_Match = Callable[[bytes, int], re.Match[bytes] | None]
FastHead = Callable[[bytes, int], tuple[Request, int] | None]


def compile_fast_head(limits: Limits) -> FastHead:
    """Return a reader of the heads of one connection.

    It returns a request and the end of its head, or None if the head does not match. Most clients
    send the same fields with each request: the reader keeps the last ones, and compares.
    """
    return _Reader(*_expressions(limits)).read


@lru_cache(maxsize=16)
def _expressions(limits: Limits) -> tuple[_Match, _Match, int]:
    pattern = _PATTERN.replace(b"MOST", b"%d" % limits.fields)
    # A head within the smallest of the limits on its parts is within all of them.
    longest = min(limits.request_line, limits.field_line, limits.head)
    match_head = re.compile(pattern, re.VERBOSE).match
    return match_head, re.compile(_LINE, re.VERBOSE).match, longest


class _Reader:
    """Reads the heads of one connection."""

    __slots__ = ("_fields", "_host", "_lines", "_longest", "_match_head", "_match_line", "_size")

    def __init__(self, match_head: _Match, match_line: _Match, longest: int) -> None:
        self._match_head = match_head
        self._match_line = match_line
        self._longest = longest
        # Of the last head:
        self._lines = b""  # its field lines with the empty one; empty if they are not kept
        self._fields = LazyHeaders(b"")
        self._host = ""
        self._size = 0

    def read(self, data: bytes, position: int) -> tuple[Request, int] | None:
        match = self._match_line(data, position)
        if match is None:
            return None
        end = match.end()
        lines = self._lines
        if lines and data.startswith(lines, end):
            method, path, query = match.groups()
            end += len(lines)
            fields, host, size = self._fields, self._host, self._size
        else:
            match = self._match_head(data, position)
            if match is None:
                return None
            method, path, query, block, name, length = match.groups()
            if name is None:  # the exact parser refuses it
                return None
            lines = data[end : match.end()]
            end = match.end()
            fields, host, size = LazyHeaders(block), name.decode(), int(length) if length else 0
            if len(lines) <= _LONGEST_KEPT:
                self._lines, self._fields, self._host, self._size = lines, fields, host, size
        if end - position > self._longest:
            return None
        text = path.decode()
        if "/." in text or "//" in text:
            return None
        if query is None:
            target, query_string = text, ""
        else:
            query_string = query.decode()
            target = f"{text}?{query_string}"
        return Request(method.decode(), target, fields, text, query_string, host, size), end
