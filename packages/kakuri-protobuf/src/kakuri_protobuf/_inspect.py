"""Shows a message of unknown type as readable text."""

from collections.abc import Iterator

from kakuri_protobuf._errors import DecodeError
from kakuri_protobuf._kinds import END_GROUP, I32, I64, LEN, START_GROUP, VARINT
from kakuri_protobuf._wire import read_tag, read_varint, skip, to_bytes

MAX_DEPTH = 32
"""Depth up to which bytes are interpreted as messages; deeper ones are shown as bytes."""

_LONGEST = 200


def inspect(data: bytes | bytearray | memoryview) -> str:
    r"""Format a message of unknown type as text with one field per line, for people to read.

    The wire format does not reveal the type of a length-delimited field. It is shown as text if it
    is printable UTF-8, otherwise as a message if it can be one, otherwise as bytes. Varints are
    shown as unsigned integers, and also as signed ones if they are negative as an int64.

    >>> print(inspect(b"\n\x05hello\x12\x02\x08\x01\x18\x96\x01"))
    1: "hello"
    2 {
      1: 1
    }
    3: 150

    Raises:
        DecodeError: The data is not a valid message of any type.
        TypeError: The data is not bytes.
    """
    b = to_bytes(data)
    return "\n".join(_fields(b, 0, len(b), 0))


def _fields(b: bytes, p: int, end: int, depth: int) -> list[str]:
    lines: list[str] = []
    while p < end:
        start = p
        try:
            tag = b[p]
            p += 1
            if tag > 0x7F:
                tag, p = read_tag(b, p)
            after = skip(b, p, end, tag, MAX_DEPTH)
        except (DecodeError, IndexError) as error:
            text = str(error.message) if isinstance(error, DecodeError) else "truncated field"
            raise DecodeError(text, "", start) from None
        lines += _field(b, p, after, tag, depth)
        p = after
    return lines


def _field(b: bytes, p: int, after: int, tag: int, depth: int) -> Iterator[str]:
    number, wire_type = tag >> 3, tag & 7
    indent = "  " * depth
    if wire_type == VARINT:
        value = b[p] if b[p] < 0x80 else read_varint(b, p)[0]
        signed = f" (int64 {value - (1 << 64)})" if value >= 1 << 63 else ""
        yield f"{indent}{number}: {value}{signed}"
    elif wire_type in (I32, I64):
        size = 4 if wire_type == I32 else 8
        yield f"{indent}{number}: {int.from_bytes(b[p:after], 'little'):#0{2 * size + 2}x}"
    elif wire_type == START_GROUP:
        yield f"{indent}{number} group {{"
        yield from _fields(b, p, _before_end_tag(b, p, after), depth + 1)
        yield f"{indent}}}"
    elif wire_type == LEN:
        if b[p] > 0x7F:
            p = read_varint(b, p)[1]
        else:
            p += 1
        yield from _bytes(b, p, after, f"{indent}{number}", depth)


def _bytes(b: bytes, p: int, end: int, head: str, depth: int) -> Iterator[str]:
    content = b[p:end]
    text = _printable(content)
    if text is not None:
        yield f'{head}: "{_cut(text)}"'
        return
    if depth < MAX_DEPTH and content:
        try:
            lines = _fields(b, p, end, depth + 1)
        except DecodeError:
            pass
        else:
            yield f"{head} {{"
            yield from lines
            yield f"{'  ' * depth}}}"
            return
    yield f"{head}: {len(content)} bytes {_cut(content.hex(' '))}"


def _printable(content: bytes) -> str | None:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    if all(character.isprintable() or character in "\n\t" for character in text):
        return (
            text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        )
    return None


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _before_end_tag(b: bytes, p: int, after: int) -> int:
    """Return the end of a group's content; its end tag is before `after`."""
    while True:
        start = p
        tag = b[p]
        p += 1
        if tag > 0x7F:
            tag, p = read_tag(b, p)
        if tag & 7 == END_GROUP and p == after:
            return start
        p = skip(b, p, after, tag, MAX_DEPTH)
