"""Newline-delimited documents: one value a line, from any iterable of bytes."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, overload

from kakuri_json._decode import decode
from kakuri_json._errors import JSONSyntaxError, LimitError, StructureError

if TYPE_CHECKING:
    from typing_extensions import TypeForm

T = TypeVar("T")

MAX_LINE = 2**20
"""Bytes of a line unless another limit is given."""


@overload
def decode_lines(chunks: Iterable[bytes], *, max_line: int = MAX_LINE) -> Iterator[Any]: ...
@overload
def decode_lines(
    chunks: Iterable[bytes], *, type: "TypeForm[T]", max_line: int = MAX_LINE
) -> Iterator[T]: ...
def decode_lines(
    chunks: Iterable[bytes],
    *,
    type: Any = object,  # noqa: A002
    max_line: int = MAX_LINE,
) -> Iterator[Any]:
    """Decode one document a line; chunks may be cut anywhere.

    A line ends with LF; a CR before it counts as white space. The last one needs no end. An empty
    line is an error like any other line that holds no document.
    max_line: bytes of the longest line, which are all that is ever held.
    Raises what decode raises, with the line's number in the stream, and LimitError for a longer
    line. After an error there is nothing more.
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


def split_lines(chunks: Iterable[bytes], max_line: int) -> Iterator[bytes]:
    """Give the lines without their LF; LimitError for one that is longer than max_line bytes."""
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
