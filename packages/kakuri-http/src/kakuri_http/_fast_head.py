"""The fast reading of a request's head: one expression for the usual spelling.

It matches only heads that the exact parser accepts too, and then says the same about them; what
it does not match goes there. A property test holds both to that. Not matched, so not decided here:
escapes, dot segments and empty segments in a path, other versions, other methods,
Transfer-Encoding, Expect, Connection with anything but keep-alive, IPv6 hosts, a repeated Host or
Content-Length, and heads near any limit.
"""

import re
from collections.abc import Callable

from kakuri_http._headers import UnreadHeaders
from kakuri_http._limits import Limits
from kakuri_http._request import Request

# Groups: 1 method, 2 path, 3 query, 4 the field lines, 5 host, 6 length.
# `(?(5)(?!))` fails where the group has matched before: Host and Content-Length come once.
_PATTERN = rb"""
(GET|POST|DELETE|PUT|PATCH|HEAD|OPTIONS)\ ((?:/(?![./])[A-Za-z0-9\-._~!$&'()*+,;=:@]*+)++|/)
(?:\?([A-Za-z0-9\-._~!$&'()*+,;=:@/?]*+))?
\ HTTP/1\.1\r\n
((?:
  (?!(?i:host|content-length|transfer-encoding|connection|expect)[:])
  [!\#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t\x20-\x7e\x80-\xff]*+\r\n
| (?i:host):(?(5)(?!))[ ]?([A-Za-z0-9\-._~]++(?::(?:6[0-4][0-9]{3}|[1-5]?[0-9]{1,4}))?+)\r\n
| (?i:content-length):(?(6)(?!))[ ]?([0-9]{1,15})\r\n
| (?i:connection:[ ]?keep-alive)\r\n
){1,FIELDS}+)(?(5)|(?!))\r\n
"""

FastHead = Callable[[bytes, int], tuple[Request, int] | None]


def compile_fast_head(limits: Limits) -> FastHead:
    """Make the reader for some limits; it returns the request and where its head ends, or None."""
    match_head = re.compile(_PATTERN.replace(b"FIELDS", b"%d" % limits.fields), re.VERBOSE).match
    # A head no longer than each of the bounds on its parts keeps them all.
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
        if query is None:
            target, query_string = text, ""
        else:
            query_string = query.decode()
            target = f"{text}?{query_string}"
        fields = UnreadHeaders(block)
        size = int(length) if length else 0
        return Request(
            method.decode(), target, fields, text, query_string, host.decode(), size
        ), end

    return read
