"""From a response's head to a `Response` and its framing (RFC 9112 4 and 6.3)."""

from kakuri_http import _grammar
from kakuri_http._errors import RemoteProtocolError
from kakuri_http._framing import Fields, Framing, read_framing
from kakuri_http._headers import ParsedHeaders
from kakuri_http._response import ReceivedResponse


def parse_response_head(line: bytes, fields: Fields) -> tuple[ReceivedResponse, Framing]:
    """Make a Response of a status line and its field lines; its status may be 1xx.

    Raises RemoteProtocolError.
    """
    match = _grammar.status_line.fullmatch(line)
    if match is None:
        raise RemoteProtocolError(f"expected 'HTTP/1.1 status reason', got {line[:80]!r}")
    minor = min(int(match[1]), 1)
    framing = read_framing(fields, minor=minor)
    reason = (match[3] or b"").decode("latin-1")
    headers = ParsedHeaders(fields)
    response = ReceivedResponse(int(match[2]), reason, headers, "1.1" if minor else "1.0")
    # HTTP/1.0's keep-alive is left alone: who sends it may not know what it says
    # (RFC 9112 C.2.2).
    response.keep_alive = not framing.close and minor > 0
    response.length = framing.length
    return response, framing
