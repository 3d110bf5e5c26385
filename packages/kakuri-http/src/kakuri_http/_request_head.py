"""From a request's head to a `Request`: line, target, Host, framing (RFC 9112 3, RFC 9110 7.2)."""

from kakuri_http import _grammar
from kakuri_http._errors import RemoteProtocolError
from kakuri_http._framing import NO_BODY_LIMIT, Fields, Framing, check_body_length, read_framing
from kakuri_http._headers import ParsedHeaders
from kakuri_http._limits import Limits
from kakuri_http._request import Request
from kakuri_http._target import parse_absolute_form, parse_authority, parse_origin_form

HTTP_1 = b"1"


def parse_request_head(line: bytes, fields: Fields, limits: Limits) -> tuple[Request, Framing]:
    """Make a Request of a request line and its field lines.

    Raises RemoteProtocolError: 400, 413, 417, 501 or 505.
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
        # A bound that no route can lift: what is over it is no length that anybody means.
        check_body_length(framing.length, max(limits.body, NO_BODY_LIMIT))
    return request, framing


def parse_request_line(line: bytes) -> tuple[str, bytes, int]:
    """Split `method SP request-target SP HTTP-version` into method, target and minor version.

    A minor version above 1 is processed as 1 (RFC 9110 2.5).
    """
    words = line.split(b" ")
    if len(words) != 3 or not all(words):
        raise RemoteProtocolError(f"expected 'method target version', got {line[:80]!r}")
    method, target, version = words
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
        # Never a tunnel. Refused here, as what follows on the connection would be for another peer.
        raise RemoteProtocolError(
            "expected another method, got CONNECT", status=501, code="not_implemented"
        )
    if target[:1] == b"/":
        return parse_origin_form(target)
    if target == b"*" and method == "OPTIONS":
        return "*", ""
    return parse_absolute_form(target, host)
