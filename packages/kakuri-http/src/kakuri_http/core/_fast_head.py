"""Parses request heads in their usual form with a single regular expression, which is fast.

It only matches heads that the exact parser accepts with the same result; a property test compares
the two. All other heads are left to the exact parser, among them: escapes, dot segments and empty
segments in a path, other versions, other methods, Transfer-Encoding, Expect, Connection with
anything but keep-alive, IPv6 hosts, a missing or repeated Host, a repeated Content-Length, unusual
case in the names that matter, and heads near any limit.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from kakuri_tcp import RepeatCache

from kakuri_http._headers import LazyHeaders
from kakuri_http._limits import Limits
from kakuri_http._messages import RepeatedHead, Request

# Groups: 1 method, 2 path, 3 query, 4 the field lines, 5 host, 6 length. `(?(5)(?!))` fails where
# the group has matched before: Host and Content-Length come once. The alternatives begin with
# different characters, so `re` enters only the one that can match. `(?:…|)` is faster than
# `(?:…)?`. Groups are not repeated possessively (see _grammar); a near miss still takes linear
# time, because backtracking over lines never finds another match.
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

_MAX_CACHED_HEAD_BYTES = 512
"""Maximum size of a cached head; enough for most programs. Browsers send larger, but fewer
heads."""
_MAX_CACHED_HEADS = 1024
"""Maximum number of cached heads. Typical ones take 1 MiB; heads of seventy short fields, if all of
them were read, 19 MiB."""
_MAX_CACHED_BLOCKS = 256
"""Maximum number of cached blocks of field lines."""

_Match = Callable[[bytes, int], re.Match[bytes] | None]
FastHeadReader = Callable[[bytes, int], tuple[Request, int] | None]


def compile_fast_head(limits: Limits) -> FastHeadReader:
    """Return a function that parses heads; all connections of a server may share it.

    The function is called with the received bytes and the position of a head. It returns the
    request and the end of its head, or None if the head is left to the exact parser.

    Most clients repeat their requests, or at least their fields, so the function caches heads. A
    head that has arrived three times, byte for byte, is not matched again; if only its field lines
    have arrived twice, only its request line is matched.
    """
    return _Reader(limits).read


@lru_cache(maxsize=16)
def _expressions(limits: Limits) -> tuple[_Match, _Match]:
    pattern = _PATTERN.replace(b"MOST", b"%d" % limits.fields)
    return re.compile(pattern, re.VERBOSE).match, re.compile(_LINE, re.VERBOSE).match


class _Reader:
    """Reads heads, with caches of repeated heads and of repeated field lines."""

    __slots__ = ("_fields", "_heads", "_match_head", "_match_line", "_max_length")

    def __init__(self, limits: Limits) -> None:
        self._match_head, self._match_line = _expressions(limits)
        # A head that is smaller than the lowest limit on any of its parts is within all of them.
        self._max_length = min(limits.request_line, limits.field_line, limits.head)
        self._heads: RepeatCache[RepeatedHead] = RepeatCache(_MAX_CACHED_HEADS)
        self._fields: RepeatCache[tuple[LazyHeaders, str, int]] = RepeatCache(_MAX_CACHED_BLOCKS)

    def read(self, data: bytes, position: int) -> tuple[Request, int] | None:
        end = data.find(b"\r\n\r\n", position, position + _MAX_CACHED_HEAD_BYTES) + 4
        head = data[position:end] if end > 3 else b""  # empty if too long for the cache
        repeated = self._heads.find(head)
        if repeated is not None:
            request = Request(*repeated.parts)
            request.repeated_head = repeated
            return request, end
        start = data.find(b"\r\n", position, end) + 2 if head else 0  # of the field lines
        lines = data[start:end] if head else b""
        fields = self._fields.find(lines)
        is_repeated = fields is not None
        if fields is not None:
            match = self._match_line(data, position)
            if match is None:
                return None
            method, path, query = match.groups()
        else:
            match = self._match_head(data, position)
            if match is None:
                return None
            method, path, query, block, name, digits = match.groups()
            if name is None:  # without a Host, which the exact parser refuses
                return None
            end = match.end()
            fields = LazyHeaders(block), name.decode(), int(digits) if digits else 0
            is_repeated = bool(lines) and self._fields.mark_seen(lines)
            if is_repeated:
                self._fields.add(lines, fields)
        if end - position > self._max_length:
            return None
        text = path.decode()
        if "/." in text or "//" in text:
            return None
        if query is None:
            target, query_string = text, ""
        else:
            query_string = query.decode()
            target = f"{text}?{query_string}"
        headers, host, length = fields
        request = Request(method.decode(), target, headers, text, query_string, host, length)
        # A head whose field lines are new is new as well.
        if is_repeated and self._heads.mark_seen(head):
            parts = request.method, target, headers, text, query_string, host, length
            self._heads.add(head, RepeatedHead(parts))
        return request, end
