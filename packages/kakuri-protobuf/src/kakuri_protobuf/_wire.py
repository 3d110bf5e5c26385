"""Varints, tags and unknown fields: the wire format below messages.

Source: protobuf.dev/programming-guides/encoding. Functions take `(data, position)` and return the
new position last. They raise DecodeError without a location, which the message's decoder adds.
Reading past the end of the data raises IndexError, which the decoder reports as a truncated field.
"""

from kakuri_protobuf._errors import DecodeError, LimitError
from kakuri_protobuf._kinds import END_GROUP, I32, I64, LEN, START_GROUP, VARINT

_MAX_TAG = (1 << 32) - 1
_MAX_TAG_BYTES = 5
_SIZES = {I32: 4, I64: 8}


def to_bytes(data: bytes | bytearray | memoryview) -> bytes:
    """Return the caller's data as bytes; raise TypeError if it is not bytes-like."""
    try:
        return bytes(memoryview(data))
    except TypeError:
        raise TypeError(f"expected bytes as a message, got {type(data).__name__}") from None


def read_varint(b: bytes, p: int) -> tuple[int, int]:
    """Read a varint of more than one byte.

    The caller has checked the continuation bit of the first byte. 64 bits need at most ten bytes;
    bits above the 64th are dropped, as in the official libraries.
    """
    # Each step adds a byte and subtracts the continuation bit of the byte before it.
    v = b[p] + (b[p + 1] << 7) - 0x80
    if v < 1 << 14:
        return v, p + 2
    v += (b[p + 2] << 14) - (1 << 14)
    if v < 1 << 21:
        return v, p + 3
    v += (b[p + 3] << 21) - (1 << 21)
    if v < 1 << 28:
        return v, p + 4
    v += (b[p + 4] << 28) - (1 << 28)
    if v < 1 << 35:
        return v, p + 5
    return _read_long_varint(b, p + 5, v - (1 << 35))


def _read_long_varint(b: bytes, p: int, v: int) -> tuple[int, int]:
    """Continue reading a varint after five bytes."""
    shift = 35
    while shift < 63:
        byte = b[p]
        p += 1
        if byte < 0x80:
            return v | byte << shift, p
        v |= (byte & 0x7F) << shift
        shift += 7
    if b[p] > 0x7F:
        raise DecodeError("expected a varint of at most 10 bytes")
    return v | (b[p] & 1) << 63, p + 1


def read_tag(b: bytes, p: int) -> tuple[int, int]:
    """Read a tag of more than one byte; `p` is the position after its first byte."""
    second = b[p]
    if second < 0x80:
        return b[p - 1] - 0x80 + (second << 7), p + 1
    tag, after = read_varint(b, p - 1)
    if tag > _MAX_TAG or after - p >= _MAX_TAG_BYTES:
        raise DecodeError(f"expected a tag of at most 32 bits in 5 bytes, got {tag}")
    return tag, after


def skip(b: bytes, p: int, end: int, tag: int, depth: int) -> int:
    """Return the position after the value of an unknown field.

    Groups may be nested in it; a stack of their numbers replaces recursion.

    Args:
        b: The data.
        p: Position after the tag.
        end: End of the enclosing message.
        tag: Number and wire type of the field.
        depth: How many more groups may nest.

    Raises:
        DecodeError: The value is malformed or exceeds the message.
        LimitError: Groups nest too deeply.
    """
    open_groups: list[int] = []
    while True:
        number, wire_type = tag >> 3, tag & 7
        if number == 0:
            raise DecodeError("expected a field number of at least 1, got 0")
        if wire_type == VARINT:
            p = p + 1 if b[p] < 0x80 else read_varint(b, p)[1]
        elif wire_type == LEN:
            length, p = (b[p], p + 1) if b[p] < 0x80 else read_varint(b, p)
            p += length
        elif wire_type == START_GROUP:
            if len(open_groups) >= depth:
                raise LimitError("expected groups to nest less deeply", limit="depth")
            open_groups.append(number)
        elif wire_type == END_GROUP:
            if not open_groups or open_groups.pop() != number:
                raise DecodeError(f"expected a field, got the end of group {number}")
        elif wire_type in _SIZES:
            p += _SIZES[wire_type]
        else:
            raise DecodeError(f"expected a wire type from 0 to 5, got {wire_type}")
        if p > end:
            raise DecodeError("expected the rest of the field, got the end of the message")
        if not open_groups:
            return p
        if p >= end:
            raise DecodeError(f"expected the end of group {open_groups[-1]}")
        tag = b[p]
        p += 1
        if tag > 0x7F:
            tag, p = read_tag(b, p)


def write_varint(value: int) -> bytes:
    """Return the varint of an integer from 0 to 2**64-1."""
    if value < 0x80:
        return ONE_BYTE[value]
    pieces = bytearray()
    while value > 0x7F:
        pieces.append(value & 0x7F | 0x80)
        value >>= 7
    pieces.append(value)
    return bytes(pieces)


ONE_BYTE = [bytes((value,)) for value in range(256)]
"""All single bytes, for varints below 128."""
