"""Request targets (RFC 9112 3.2) and Host (RFC 9110 7.2)."""

import re

from kakuri_http._errors import RemoteProtocolError
from kakuri_http._url import percent_decode
from kakuri_http.core import _grammar

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DEFAULT_PORT = {"http": 80, "https": 443}
_HIGHEST_PORT = 65535


def parse_authority(value: bytes) -> tuple[str, int | None] | None:
    """Parse `uri-host [ ":" port ]` into a lower-case host and a port; None if it is not valid."""
    match = _grammar.authority.fullmatch(value)
    if match is None:
        return None
    if match[1][:1] == b"[":
        from ipaddress import IPv6Address  # noqa: PLC0415 (no other authority needs it)

        try:
            IPv6Address(match[1][1:-1].decode("ascii"))
        except ValueError:
            return None
    port: int | None = None
    if digits := match[2]:
        if len(digits) > 5 or int(digits) > _HIGHEST_PORT:
            return None
        port = int(digits)
    return match[1].decode("ascii").lower(), port


def check_path(path: bytes) -> None:
    """Reject paths that are ambiguous or harmful in logs (RFC 3986 3.3, 5.2.4).

    Dot segments are rejected, encoded or not: clients resolve them, so one that arrives targets a
    program further down the line. Control characters and escapes that are not UTF-8 are rejected
    because ids in paths become log lines, labels and file names.

    Raises:
        RemoteProtocolError: 400.
    """
    try:
        decoded = percent_decode(path.decode("ascii"))
    except ValueError as error:
        raise RemoteProtocolError(f"expected UTF-8 in a path, got {path!r}") from error
    if _CONTROL.search(decoded):
        raise RemoteProtocolError(f"expected no control character in a path, got {path!r}")
    if any(segment in {".", ".."} for segment in decoded.split("/")):
        raise RemoteProtocolError(f"expected no dot segment in a path, got {path!r}")


def parse_origin_form(target: bytes) -> tuple[str, str]:
    """Parse `absolute-path [ "?" query ]` into path and query; without one, the query is empty."""
    match = _grammar.origin_form.fullmatch(target)
    if match is None:
        raise RemoteProtocolError(f"expected an origin-form target, got {_shown(target)}")
    path, query = match.groups(b"")
    check_path(path)
    return path.decode("ascii"), query.decode("ascii")


def parse_absolute_form(target: bytes, host: bytes) -> tuple[str, str]:
    """Parse an absolute URI into path and query; its authority has to match the Host field.

    RFC 9112 3.2.2 lets the target override Host. Here, a request with two different names is
    rejected, because a proxy in front may have used the other one for its decisions.
    """
    match = _grammar.absolute_form.fullmatch(target)
    scheme = match[1].decode("ascii").lower() if match else ""
    if match is None or scheme not in _DEFAULT_PORT:
        raise RemoteProtocolError(f"expected an http URI as target, got {_shown(target)}")
    named = parse_authority(match[2])
    if named is None:
        raise RemoteProtocolError(f"expected a host in the target, got {_shown(target)}")
    given = parse_authority(host) if host else named  # HTTP/1.0 does not require Host
    default = _DEFAULT_PORT[scheme]
    if given is None or (named[0], named[1] or default) != (given[0], given[1] or default):
        raise RemoteProtocolError(
            f"expected the target's authority in Host, got {host!r} for {_shown(target)}"
        )
    path = match[3] or b"/"
    check_path(path)
    return path.decode("ascii"), (match[4] or b"").decode("ascii")


def _shown(target: bytes) -> str:
    return repr(target if len(target) <= 80 else target[:77] + b"...")
