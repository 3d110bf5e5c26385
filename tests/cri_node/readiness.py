"""Ask a CRI runtime for its conditions: one gRPC call, written out frame by frame.

containerd's socket answers before its CRI service does, and only `Status` tells that containers and
their network can be made. The call is this short because everything about it is known: one
request, no fields, an answer of some hundred bytes (RFC 9113 for frames, RFC 7541 section 6.2.2 for
header fields, gRPC over HTTP2 for the five bytes before each message).
"""

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

STATUS = "/runtime.v1.RuntimeService/Status"

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _GOAWAY = 0, 1, 3, 4, 7
_END_STREAM = _ACK = 0x1
_END_HEADERS = 0x4
_STREAM = 1
_FRAME_HEAD = struct.Struct(">HBBBI")

# Wire types of protocol buffers; others are absent from this answer.
_VARINT, _BYTES = 0, 2


class NotReady(Exception):
    """The runtime does not answer, or not with its conditions."""


def conditions(path: Path, seconds: float = 2.0) -> dict[str, bool]:
    """Return the conditions, such as RuntimeReady, that CRI `Status` of a runtime tells.

    `path` is its socket's. Raises NotReady if there is no answer within that time, or one without
    conditions.
    """
    try:
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(seconds)
            stream.connect(str(path))
            return parse_status(_call(stream))
    except OSError as error:
        raise NotReady(f"expected an answer at {path}, got {error!r}") from error


def _call(stream: socket.socket) -> bytes:
    fields = (
        (":method", "POST"),
        (":scheme", "http"),
        (":path", STATUS),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    )
    block = b"".join(b"\0" + _text(name) + _text(value) for name, value in fields)
    stream.sendall(
        _PREFACE
        + _frame(_SETTINGS, 0, 0)
        + _frame(_HEADERS, _END_HEADERS, _STREAM, block)
        + _frame(_DATA, _END_STREAM, _STREAM, bytes(5))
    )
    content = b""
    with stream.makefile("rb") as reader:
        while True:
            head = reader.read(9)
            if len(head) < 9:
                raise NotReady("expected a frame, got the end of the connection")
            high, low, kind, flags, number = _FRAME_HEAD.unpack(head)
            payload = reader.read(high << 8 | low)
            if kind == _SETTINGS and not flags & _ACK:
                stream.sendall(_frame(_SETTINGS, _ACK, 0))
            elif kind in (_RST_STREAM, _GOAWAY):
                raise NotReady(f"expected an answer, got a frame of type {kind}")
            elif number == _STREAM:
                content += payload if kind == _DATA else b""
                if flags & _END_STREAM and kind in (_DATA, _HEADERS):
                    break
    if not content:
        raise NotReady("expected a message, got an error's trailers")
    return content[5:]


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    size = len(payload)
    return _FRAME_HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream) + payload


def _text(text: str) -> bytes:
    assert len(text) < 0x7F  # one byte of length, not Huffman-coded
    return bytes([len(text)]) + text.encode()


def parse_status(message: bytes) -> dict[str, bool]:
    """Read the conditions out of a StatusResponse (api.proto): name and whether it holds."""
    found: dict[str, bool] = {}
    for number, status in _fields(message):
        if number != 1 or not isinstance(status, bytes):
            continue
        for inner, condition in _fields(status):
            if inner == 1 and isinstance(condition, bytes):
                values = dict(_fields(condition))
                name = values.get(1, b"")
                assert isinstance(name, bytes)
                found[name.decode()] = bool(values.get(2, 0))
    if not found:
        raise NotReady("expected conditions, got none")
    return found


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        value, position = _varint(message, position)
        if key & 7 == _VARINT:
            yield key >> 3, value
        elif key & 7 == _BYTES:
            yield key >> 3, message[position : position + value]
            position += value
        else:
            raise NotReady(f"expected a varint or bytes, got wire type {key & 7}")


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position == len(message):
            raise NotReady("expected the rest of a message, got its end")
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
