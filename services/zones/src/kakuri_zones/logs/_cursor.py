"""A reader's position in a zone's log, as text that outlives the reader and this process."""

import re
from dataclasses import dataclass

from kakuri_zones.logs._errors import LogCursorError
from kakuri_zones.logs._format import LinePosition

# A number fits into a signed 64-bit integer, like the offset of a file.
_NUMBER = "(0|[1-9][0-9]{0,17})"
_cursor = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:\.([fp]))?")


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One file of a log: its attempt, and the number of files of that attempt before it."""

    attempt: int = 0
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in a segment, and where in a line it is."""

    segment: Segment = Segment()
    offset: int = 0
    line_position: LinePosition = LinePosition.START

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Read a cursor from text.

        Raises:
            LogCursorError: The text is not a cursor.
        """
        found = _cursor.fullmatch(text)
        if found is None:
            raise LogCursorError(text)
        attempt, sequence, offset = (int(found[group]) for group in (1, 2, 3))
        return cls(Segment(attempt, sequence), offset, LinePosition(found[4] or ""))

    @classmethod
    def parse_bounded(cls, text: str) -> "tuple[Cursor, Cursor | None]":
        """Read a cursor that may have an end: `POSITION-END`.

        Raises:
            LogCursorError: The text is not a cursor.
        """
        position, dash, end = text.partition("-")
        try:
            return cls.parse(position), cls.parse(end) if dash else None
        except LogCursorError as error:
            raise LogCursorError(text) from error

    def __str__(self) -> str:
        text = f"{self.segment.attempt}.{self.segment.sequence}.{self.offset}"
        if self.line_position is LinePosition.START:
            return text
        return f"{text}.{self.line_position.value}"
