"""The rules for received and sent header fields (RFC 9113 sections 8.2 and 8.3)."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from kakuri_http2._events import Fields, Request
from kakuri_http2.hpack import Field

_NAME = re.compile(rb"[a-z0-9!#$%&'*+.^_`|~-]+")
_STATUS = re.compile(rb"[1-5][0-9][0-9]")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_CONNECTION_FIELDS = frozenset(
    {b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"}
)
_PATH = re.compile(rb"/[!-~\x80-\xff]*")  # leniently: bytes above ASCII are common
_SPACES = frozenset({b" ", b"\t"})
_REQUEST_FIELDS = frozenset({b":method", b":scheme", b":path", b":authority"})


class MalformedMessage(ValueError):
    """The fields of a message are invalid; its stream is reset (section 8.1.1)."""


@dataclass(slots=True)
class Head:
    """The checked fields of a message.

    Attributes:
        pseudo: The pseudo-header fields by name.
        fields: The others.
        length: Bytes of content that content-length announces; None without one.
        size: Size of the fields of a request to send, as SETTINGS_MAX_HEADER_LIST_SIZE counts it.
        is_request: Whether the pseudo-header fields have been checked as those of a request.
        status: Status of a response, once its pseudo-header fields have been checked; 0 until then.
    """

    pseudo: dict[bytes, bytes]
    fields: Fields
    length: int | None
    is_request: bool = False
    status: int = 0
    size: int = 0


def list_size(fields: Fields) -> int:
    """Return the size that SETTINGS_MAX_HEADER_LIST_SIZE limits (RFC 9113 section 6.5.2)."""
    return sum([len(name) + len(value) + 32 for name, value in fields])


def check_fields(listed: Iterable[Field], untrimmed: Collection[bytes] = ()) -> Head:
    """Split fields into pseudo-header fields and others, and check the rules for all messages.

    Args:
        listed: The fields.
        untrimmed: Names of fields whose values may begin or end with white space.

    Raises:
        MalformedMessage: A name or value is not allowed, or a pseudo-header field is repeated or
            not at the beginning.
    """
    pseudo: dict[bytes, bytes] = {}
    others: list[Field] = []
    length = None
    for field in listed:
        name, value = field
        # A regular expression would take five times as long, and far longer for a long value.
        if (0 in value or 13 in value or 10 in value) or (
            (value[:1] in _SPACES or value[-1:] in _SPACES) and name not in untrimmed
        ):
            raise MalformedMessage(
                "expected a field value without NUL, CR, LF or surrounding white space,"
                f" got {value[:100]!r}"
            )
        if name[:1] == b":":
            if others:
                raise MalformedMessage(f"expected {name!r} before all other fields")
            if name in pseudo:
                raise MalformedMessage(f"expected {name!r} once")
            pseudo[name] = value
            continue
        if not _NAME.fullmatch(name):
            raise MalformedMessage(f"expected a field name in lower case, got {name[:100]!r}")
        if name in _CONNECTION_FIELDS or (name == b"te" and value != b"trailers"):
            raise MalformedMessage(f"expected no connection-specific field, got {name!r}")
        if name == b"content-length":
            if not _LENGTH.fullmatch(value) or length not in (None, int(value)):
                raise MalformedMessage(f"expected one content-length, got {value[:100]!r}")
            length = int(value)
        others.append(field)
    return Head(pseudo, tuple(others), length)


def request_of(head: Head, stream: int, *, end: bool) -> Request:
    """Return the request that checked fields describe (section 8.3.1).

    Raises:
        MalformedMessage: A pseudo-header field is missing or not one of a request, or the path is
            empty.
    """
    if not head.is_request:
        _check_request(head.pseudo)
        head.is_request = True
    pseudo = head.pseudo
    return Request(
        pseudo[b":method"],
        pseudo[b":path"],
        pseudo.get(b":authority", b""),
        head.fields,
        pseudo[b":scheme"],
        end,
        stream,
    )


def _check_request(pseudo: dict[bytes, bytes]) -> None:
    if not pseudo.keys() <= _REQUEST_FIELDS:
        raise MalformedMessage(f"expected pseudo-header fields of a request, got {sorted(pseudo)}")
    try:
        method, scheme, path = pseudo[b":method"], pseudo[b":scheme"], pseudo[b":path"]
    except KeyError as error:
        raise MalformedMessage(f"expected {error.args[0]!r} in a request") from None
    if not _NAME.fullmatch(method.lower()):
        raise MalformedMessage(f"expected a method, got {method[:100]!r}")
    is_http = scheme in (b"http", b"https")
    if is_http and not _PATH.fullmatch(path) and (method, path) != (b"OPTIONS", b"*"):
        raise MalformedMessage(f"expected a path that begins with '/', got {path[:100]!r}")


def status_of(head: Head) -> int:
    """Return the status of a response's checked fields (section 8.3.2).

    Raises:
        MalformedMessage: There is no `:status` of three digits, or another pseudo-header field.
    """
    if head.status:
        return head.status
    status = head.pseudo.get(b":status", b"")
    if len(head.pseudo) != 1 or not _STATUS.fullmatch(status):
        raise MalformedMessage(f"expected ':status' of three digits alone, got {head.pseudo}")
    number = int(status)
    if number == 101:  # there is no upgrade in HTTP/2 (section 8.6)
        raise MalformedMessage("expected a status other than 101")
    head.status = number
    return number
