"""Newline-delimited documents: one value a line, from any iterable of bytes."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

from kakuri_json._decode import decode
from kakuri_json._errors import JSONSyntaxError, LimitError, StructureError

if TYPE_CHECKING:
    from typing_extensions import TypeForm

T = TypeVar("T")
Chunks: TypeAlias = Iterable[bytes] | bytes | bytearray | memoryview

MAX_LINE = 2**20
"""Bytes of a line unless another limit is given."""


@overload
def decode_lines(chunks: Chunks, *, max_line: int = MAX_LINE) -> Iterator[Any]: ...
@overload
def decode_lines(
    chunks: Chunks, *, type: "TypeForm[T]", max_line: int = MAX_LINE
) -> Iterator[T]: ...
def decode_lines(
    chunks: Chunks,
    *,
    type: Any = object,  # noqa: A002
    max_line: int = MAX_LINE,
) -> Iterator[Any]:
    """Decode one document from each line.

    A line ends with LF; a CR before it counts as white space. The last one needs no end. An empty
    line is an error like any other line without a document. Nothing follows an error.

    Args:
        chunks: the bytes of all lines, or an iterable of parts of them, cut anywhere.
        type: the type of each document.
        max_line: bytes of the longest line, which are all that is ever held.

    Yields:
        The value of each line.

    Raises:
        JSONSyntaxError, StructureError: as decode does, with the line's number in the stream.
        LimitError: as decode does, and for a line that is longer than max_line.
    """
    for number, line in enumerate(split_lines(chunks, max_line), 1):
        try:
            value = decode(line, type=type)
        except (JSONSyntaxError, LimitError) as error:
            if error.line is not None:
                error.line = number
            raise
        except StructureError as error:
            raise StructureError(
                tuple(fault._replace(line=number) for fault in error.faults)
            ) from None
        yield value


def split_lines(chunks: Chunks, max_line: int) -> Iterator[bytes]:
    """Yield the lines without their LF; LimitError for one that is longer than max_line bytes."""
    if isinstance(chunks, (bytes, bytearray, memoryview)):
        chunks = (bytes(chunks),)  # its items are numbers
    elif isinstance(chunks, str):  # type: ignore[unreachable]  # by callers without type checker
        raise TypeError("expected bytes or chunks of bytes, got str")
    held: list[bytes] = []
    length = 0
    for chunk in chunks:
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            held.append(line)
            if length + len(line) > max_line:
                raise _too_long(max_line)
            yield b"".join(held)
            held = []
            length = 0
        if rest:
            held.append(rest)
            length += len(rest)
            if length > max_line:
                raise _too_long(max_line)
    if held:
        yield b"".join(held)


def _too_long(max_line: int) -> LimitError:
    return LimitError(
        f"expected a line of at most {max_line} bytes, got more", limit="max_line", maximum=max_line
    )
