"""Splits a response that arrives in pieces into lines."""

from collections.abc import Iterable, Iterator

from kakuri._exits import Unreachable
from kakuri._schemas import BAD_RESPONSE

MAX_LINE = 4 << 20
"""Maximum size of a line in bytes: more than the longest event or log record of a control plane."""


def split_lines(pieces: Iterable[bytes], what: str) -> Iterator[bytes]:
    """Yield the lines of a stream with their line feeds; the last one may have none.

    Args:
        pieces: The stream.
        what: What a line is, for errors.

    Raises:
        Unreachable: A line is longer than MAX_LINE.
    """
    parts: list[bytes] = []  # of an incomplete line: joined once, not with each piece
    size = 0
    for piece in pieces:
        first, *lines = piece.split(b"\n")
        parts.append(first)
        size += len(first)
        if size > MAX_LINE:
            message = f"{what}: expected a line of at most {MAX_LINE} bytes, got a longer one"
            raise Unreachable(message, code=BAD_RESPONSE)
        if lines:
            yield b"".join(parts) + b"\n"
            *complete, last = lines
            for line in complete:
                yield line + b"\n"
            parts, size = [last], len(last)
    if last := b"".join(parts):
        yield last
