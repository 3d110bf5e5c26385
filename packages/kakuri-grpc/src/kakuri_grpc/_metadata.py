"""Encodes metadata, timeouts and status messages as header fields.

Source: the gRPC document "gRPC over HTTP2", sections "Requests" and "Responses".
"""

import binascii
import functools
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

from kakuri_http2.hpack import Field

Metadata = tuple[tuple[str, str | bytes], ...]
"""Pairs of names and values; the values of names that end in `-bin` are bytes."""

_NAME = re.compile(r"[a-z0-9_.-]+")
_TEXT = re.compile(r"[\x20-\x7e]*")
_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
_CONTENT_TYPE = re.compile(rb"application/grpc(?:[+;].*)?")
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_LARGEST = 99_999_999
_PRECISE = 99_999
_HTTP_FIELDS = frozenset(
    {"te", "content-type", "content-length", "host", "connection", "keep-alive",
     "proxy-connection", "transfer-encoding", "upgrade"}
)  # fmt: skip

MAX_MESSAGE = 4096
"""Bytes of an encoded status message. If trailers have more than a few KiB, clients refuse them
(grpcio: more than 8 KiB), or close the connection with all its calls."""

MAX_VALUES = 1000
"""Maximum number of binary values in the metadata of one message. One field may hold many,
separated by commas: the 60 KiB of commas that a client can repeat in 15 bytes took 14 ms."""

_PLAIN = frozenset(range(0x20, 0x7F)) - {ord("%")}
_END_SPACE = re.compile(rb"^ | \Z")
_ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")


def is_grpc(content_type: bytes) -> bool:
    """Return whether a content type is that of gRPC; gRPC-Web has another one."""
    return _CONTENT_TYPE.fullmatch(content_type) is not None


def encode_metadata(metadata: Iterable[tuple[str, str | bytes]]) -> tuple[Field, ...]:
    """Encode metadata as header fields.

    Raises:
        TypeError: An item is not a pair of a name and a value, or a name is not text.
        ValueError: A name has other characters than lower-case letters, digits and `_.-`, begins
            with `grpc-`, or is a field that HTTP or gRPC writes itself. Or the value of a name that
            ends in `-bin` is not bytes, or that of another name is not printable ASCII.
    """
    fields = []
    try:
        pairs: Iterator[Any] = iter(metadata)
    except TypeError:
        raise TypeError(f"expected pairs as metadata, got {metadata!r:.80}") from None
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not isinstance(pair[0], str):
            raise TypeError(f"expected a name and a value as metadata, got {pair!r:.80}")
        name, value = pair
        if not _NAME.fullmatch(name):
            raise ValueError(f"expected a metadata name in lower case, got {name!r}")
        is_reserved = name.startswith("grpc-") and name != "grpc-status-details-bin"
        if is_reserved or name in _HTTP_FIELDS:
            raise ValueError(f"expected a name that HTTP and gRPC do not use, got {name!r}")
        if name.endswith("-bin"):
            if not isinstance(value, bytes):
                raise ValueError(f"expected bytes as {name!r}, got {value!r}")
            fields.append((name.encode(), binascii.b2a_base64(value, newline=False).rstrip(b"=")))
        else:
            if not isinstance(value, str) or not _TEXT.fullmatch(value):
                raise ValueError(f"expected printable ASCII as {name!r}, got {value!r}")
            fields.append((name.encode(), value.strip(" ").encode()))
    return tuple(fields)


def decode_metadata(fields: Iterable[Field]) -> Metadata:
    """Decode the metadata in header fields.

    Raises:
        ValueError: A value of a name that ends in `-bin` is not base64, or these names have more
            than `MAX_VALUES` values.
    """
    room = MAX_VALUES
    metadata: list[tuple[str, str | bytes]] = []
    for raw, value in fields:
        name = raw.decode("ascii", "replace")
        if name in _CALL_FIELDS:
            continue
        if name.endswith("-bin"):
            parts = value.split(b",", room)
            room -= len(parts)
            if room < 0:
                raise ValueError(f"expected at most {MAX_VALUES} binary values in metadata")
            metadata += [(name, decode_base64(part)) for part in parts]
        else:
            metadata.append((name, value.decode("latin-1")))
    return tuple(metadata)


_CALL_FIELDS = frozenset(
    {"te", "content-type", "grpc-status", "grpc-message", "grpc-timeout", "grpc-encoding",
     "grpc-accept-encoding"}
)  # fmt: skip


def decode_base64(text: bytes) -> bytes:
    """Decode base64 with or without padding.

    Raises:
        ValueError: The text is not base64.
    """
    stripped = text.strip(b" ").rstrip(b"=")
    try:
        return binascii.a2b_base64(stripped + b"=" * (-len(stripped) % 4), strict_mode=True)
    except binascii.Error as error:
        raise ValueError(f"expected base64, got {text[:100]!r}") from error


def encode_message(message: str) -> bytes:
    """Encode a status message as a header value: UTF-8, percent-encoded where necessary.

    Leading and trailing spaces are also percent-encoded, because a field value may not have them
    (RFC 9113 section 8.2.1). Text after the first `MAX_MESSAGE` encoded bytes is replaced with
    three dots.
    """
    encoded = bytearray()
    for character in message:
        if len(encoded) >= MAX_MESSAGE:
            encoded += b"..."
            break
        for byte in character.encode("utf-8", "replace"):
            encoded += bytes((byte,)) if byte in _PLAIN else b"%%%02X" % byte
    return _END_SPACE.sub(b"%20", encoded)


def decode_message(value: bytes) -> str:
    """Return the message of a status; invalid escapes are kept, so that decoding never fails."""
    decoded = _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), value)
    return decoded.decode("utf-8", "replace")


def encode_timeout(seconds: float) -> bytes:
    """Return a timeout as `grpc-timeout`: at most eight digits and a unit, rounded up, never 0.

    Five digits are precise enough. With as few, calls with the same timeout have the same field,
    which HPACK then writes in a few bytes.
    """
    seconds = min(max(seconds, 0.0), _LARGEST * _UNITS["H"])
    for unit in ("n", "u", "m", "S", "M", "H"):
        amount = math.ceil(seconds / _UNITS[unit] - 1e-6)
        if amount <= (_LARGEST if unit == "H" else _PRECISE):
            break
    return b"%d%s" % (max(amount, 1), unit.encode())


@functools.lru_cache(maxsize=64)
def timeout_fields(seconds: float) -> tuple[Field, ...]:
    """Return the header field for a timeout."""
    return ((b"grpc-timeout", encode_timeout(seconds)),)


def decode_timeout(value: bytes) -> float:
    """Decode a `grpc-timeout` to seconds.

    Raises:
        ValueError: It is not one to eight digits and a unit.
    """
    match = _TIMEOUT.fullmatch(value)
    if match is None:
        raise ValueError(f"expected one to eight digits and a unit, got {value[:20]!r}")
    return int(match[1]) * _UNITS[match[2].decode()]
