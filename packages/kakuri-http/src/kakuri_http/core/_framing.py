"""Where a message's content ends and what becomes of the connection (RFC 9112 6 and 9.3).

Content-Length and Transfer-Encoding may occur once. A repeated one is rejected even if both lines
agree, which RFC 9110 8.6 leaves to the recipient.
"""

from dataclasses import dataclass

from kakuri_http._errors import LimitExceeded, RemoteProtocolError
from kakuri_http.core import _grammar

Fields = list[tuple[bytes, bytes]]

# A length with more digits than 2**63 is not converted.
_LENGTH_DIGITS = 19
_UNUSABLE = 1 << 63
# A limit on content that no length exceeds but one of 2**63 and more.
NO_BODY_LIMIT = _UNUSABLE - 1


@dataclass(slots=True)
class Framing:
    """What the fields of a head say; no length and not chunked means that neither is given."""

    length: int | None
    chunked: bool
    close: bool
    keep_alive: bool


def read_framing(fields: Fields, *, minor: int) -> Framing:
    """Return what Content-Length, Transfer-Encoding and Connection say, in HTTP/1.`minor`.

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
    shown = b", ".join(codings)[:80]
    raise RemoteProtocolError(
        f"expected chunked as the one transfer coding, got {shown!r}",
        status=400 if b"chunked" in shown.lower() else 501,
        code="bad_request" if b"chunked" in shown.lower() else "not_implemented",
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
    """Raise LimitExceeded, 413, if a length is over the limit."""
    if length > limit:
        shown = str(length) if length < _UNUSABLE else "more than 2**63"
        raise LimitExceeded(
            f"expected content of at most {limit} bytes, got {shown}",
            limit="body", status=413, code="content_too_large",
        )  # fmt: skip
