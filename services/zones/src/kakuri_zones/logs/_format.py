"""Decoding the lines of CRI log files, without I/O: file content in, output out.

A line has this format (kubernetes/cri-api, `LogTag`; containerd, `internal/cri/io/logger.go`)

    TIME SP STREAM SP TAGS SP CONTENT LF

with an RFC 3339 time of up to nine fractional digits, `stdout` or `stderr`, and tags. The first
tag is `F` if the container wrote a line feed after the content. It is `P` if it did not, because
the runtime cut the line (containerd after 16 KiB) or the stream ended inside it. Further tags
follow after colons and are ignored.

A line of another form was written by another program, or was cut off on a full disk. It is passed
on unchanged rather than lost.
"""

import re
from dataclasses import dataclass
from enum import Enum

MAX_HEADER = 256
"""Limit of a header in bytes; 48 are usual, the rest is for future tags."""

_TIME = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)"
_TAGS = rb"(?::[^ \n]{0,160})?"
_HEADER = rb"%b (?:stdout|stderr) (?:F|(P))%b " % (_TIME, _TAGS)
_HEADER_PATTERN = re.compile(_HEADER)
_RECORD_HEADER = rb"(%b) (stdout|stderr) (F|P)%b " % (_TIME, _TAGS)
# The second group is the container's output, with the line feed unless the tag is `P`.
_LINES = re.compile(rb"(?:%b)?([^\n]*(?(1)|\n))(?(1)\n)" % _HEADER)

RECORD_HEADER = re.compile(_RECORD_HEADER)
"""A header; its groups are time, stream and tag."""

RECORDS = re.compile(rb"(?:%b)?([^\n]*)\n" % _RECORD_HEADER)
"""A complete line; its groups are those of the header, if it has one, and the content."""


class LinePosition(Enum):
    """Where in a line a position is; the values are written in cursors."""

    START = ""
    FULL = "f"
    """In content that the container ended with a line feed."""
    PARTIAL = "p"
    """In content whose line feed was added by the log's format."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """The container's output, the number of bytes decoded, and where in a line they end."""

    content: bytes
    consumed: int
    line_position: LinePosition


def decode(data: bytes, line_position: LinePosition, *, is_final: bool = False) -> Decoded:
    """Decode a block of a log file that begins at a position in a line and may end anywhere.

    The end of the block is not consumed while it may be the start of a header, unless the block is
    final. The content is never longer than the consumed bytes.
    """
    parts: list[bytes] = []
    start = 0
    if line_position is not LinePosition.START:
        end = data.find(b"\n")
        if end < 0:
            return Decoded(data, len(data), line_position)
        start = end + 1
        parts.append(data[: start if line_position is LinePosition.FULL else end])
        line_position = LinePosition.START
    last = data.rfind(b"\n") + 1
    if last > start:
        parts += [content for _, content in _LINES.findall(data, start, last)]
        start = last
    if start < len(data):
        header = _HEADER_PATTERN.match(data, start)
        if header is not None:
            line_position = LinePosition.PARTIAL if header[1] else LinePosition.FULL
            parts.append(data[header.end() :])
            start = len(data)
        elif is_final or len(data) - start >= MAX_HEADER:
            line_position = LinePosition.FULL
            parts.append(data[start:])
            start = len(data)
    return Decoded(b"".join(parts), start, line_position)


def decode_start(data: bytes, limit: int, *, is_final: bool = False) -> Decoded:
    """Decode at most `limit` bytes of the first line of a block that begins where a line does."""
    header = _HEADER_PATTERN.match(data)
    if header is None and not is_final and len(data) < MAX_HEADER and b"\n" not in data:
        return Decoded(b"", 0, LinePosition.START)
    begin, is_partial = (0, False) if header is None else (header.end(), bool(header[1]))
    line_feed = data.find(b"\n", begin)
    end = len(data) if line_feed < 0 else line_feed + (not is_partial)
    content = data[begin : min(end, begin + limit)]
    consumed = begin + len(content)
    if consumed == line_feed and is_partial:
        consumed += 1
    if consumed == line_feed + 1 and line_feed >= 0:
        return Decoded(content, consumed, LinePosition.START)
    return Decoded(content, consumed, LinePosition.PARTIAL if is_partial else LinePosition.FULL)
