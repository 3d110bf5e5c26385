"""The fast reading of a request's head: one expression for the usual spelling.

It matches only heads that the exact parser accepts too, with the same result; all others go to
that parser. A property test compares the two. Not matched, and so left to the exact parser: a Host
that is not the first field (RFC 9110 7.2 asks clients to send it first), escapes, dot segments and
empty segments in a path, other versions, other methods, Transfer-Encoding, Expect, Connection with
anything but keep-alive, IPv6 hosts, a repeated Host or Content-Length, unusual case in the names
that matter, and heads near any limit.
"""

import re
from collections.abc import Callable

from kakuri_http._headers import LazyHeaders
from kakuri_http._limits import Limits
from kakuri_http._messages import Request

# Groups: 1 method, 2 path, 3 query, 4 the field lines, 5 host, 6 length.
# `(?(6)(?!))` fails where the group has matched before: Content-Length comes once.
# The alternatives begin with different characters, so `re` enters only the one that can match, and
# `(?:…|)` is quicker than `(?:…)?`. Groups are not repeated possessively (see _grammar); a near
# miss takes linear time all the same, as giving back lines never finds another match.
_REST_OF_FIELD = rb"[!\#$%&'*+\-.^_`|~0-9A-Za-z]*+:[\t\x20-\x7e\x80-\xff]*+"
_PATTERN = rb"""
(GET|POST|DELETE|PUT|PATCH|HEAD|OPTIONS)\ (/[A-Za-z0-9\-._~!$&'()*+,;=:@/]*+)
(?:\?([A-Za-z0-9\-._~!$&'()*+,;=:@/?\[\]|{}\\^`]*+)|)
\ HTTP/1\.1\r\n
([Hh]ost:[ ]?([A-Za-z0-9\-._~]++(?::(?:6[0-4][0-9]{3}|[1-5]?[0-9]{1,4})|))\r\n
(?:
  (?: [!\#$%&'*+\-.^_`|~0-9ABDFGI-SU-Zabdfgi-su-z]REST
    | [Cc](?: ontent-(?: [Tt]ype:[\t\x20-\x7e\x80-\xff]*+
                       | [Ll]ength:(?(6)(?!))[ ]?([0-9]{1,15})
                       | (?!(?i:length):)REST)
            | onnection:[ ]?[Kk]eep-[Aa]live
            | (?![Oo][Nn])REST
            | (?!(?i:ontent-length|onnection):)REST)
    | (?:[Hh](?!(?i:ost):)|[Tt](?!(?i:ransfer-encoding):)|[Ee](?!(?i:xpect):))REST
  )\r\n
){0,MORE})\r\n
""".replace(b"REST", _REST_OF_FIELD)

FastHead = Callable[[bytes, int], tuple[Request, int] | None]


def compile_fast_head(limits: Limits) -> FastHead:
    """Return a reader of heads: a request and the end of its head, or None if it does not match."""
    pattern = _PATTERN.replace(b"MORE", b"%d" % (limits.fields - 1))
    match_head = re.compile(pattern, re.VERBOSE).match
    # A head within the smallest of the limits on its parts is within all of them.
    longest = min(limits.request_line, limits.field_line, limits.head)

    def read(data: bytes, position: int) -> tuple[Request, int] | None:
        match = match_head(data, position)
        if match is None:
            return None
        end = match.end()
        if end - position > longest:
            return None
        method, path, query, block, host, length = match.groups()
        text = path.decode()
        if "/." in text or "//" in text:
            return None
        if query is None:
            target, query_string = text, ""
        else:
            query_string = query.decode()
            target = f"{text}?{query_string}"
        fields = LazyHeaders(block)
        size = int(length) if length else 0
        return Request(
            method.decode(), target, fields, text, query_string, host.decode(), size
        ), end

    return read
