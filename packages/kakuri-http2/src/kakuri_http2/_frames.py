"""Frames: their types, flags and layout (RFC 9113 sections 4 and 6)."""

import struct

from kakuri_http2._errors import ErrorCode

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""The bytes that a client sends first (section 3.4)."""

HEADER_SIZE = 9
MIN_FRAME_SIZE = 16_384
MAX_FRAME_SIZE = (1 << 24) - 1
STREAM_MASK = (1 << 31) - 1
"""The first bit of a stream identifier is reserved and ignored."""

(
    DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE,
    CONTINUATION,
) = range(10)  # fmt: skip

END_STREAM = 0x1
ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
WITH_PRIORITY = 0x20

HEADER_TABLE_SIZE = 0x1
ENABLE_PUSH = 0x2
MAX_CONCURRENT_STREAMS = 0x3
INITIAL_WINDOW_SIZE = 0x4
MAX_FRAME_SIZE_SETTING = 0x5
MAX_HEADER_LIST_SIZE = 0x6


HEAD = struct.Struct(">IBI")
"""The nine bytes before a frame's payload: length and type in one number, flags, stream."""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a whole frame."""
    return HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


def header_frames(block: bytes, stream: int, flags: int, size: int) -> bytes:
    """Return a block of fields as a HEADERS frame and as many CONTINUATION frames as it needs."""
    if len(block) <= size:
        return HEAD.pack(len(block) << 8 | HEADERS, flags | END_HEADERS, stream) + block
    pieces = [frame(HEADERS, flags, stream, block[:size])]
    for start in range(size, len(block), size):
        last = END_HEADERS if start + size >= len(block) else 0
        pieces.append(frame(CONTINUATION, last, stream, block[start : start + size]))
    return b"".join(pieces)


def settings_frame(settings: dict[int, int]) -> bytes:
    """Return a SETTINGS frame."""
    payload = b"".join(
        key.to_bytes(2, "big") + value.to_bytes(4, "big") for key, value in settings.items()
    )
    return frame(SETTINGS, 0, 0, payload)


def window_update(stream: int, increment: int) -> bytes:
    """Return a WINDOW_UPDATE frame; stream 0 is the connection."""
    return frame(WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big"))


def rst_stream(stream: int, code: int) -> bytes:
    """Return a RST_STREAM frame."""
    return frame(RST_STREAM, 0, stream, code.to_bytes(4, "big"))


def goaway(last_stream: int, code: ErrorCode, debug: bytes = b"") -> bytes:
    """Return a GOAWAY frame."""
    return frame(GOAWAY, 0, 0, last_stream.to_bytes(4, "big") + code.to_bytes(4, "big") + debug)
