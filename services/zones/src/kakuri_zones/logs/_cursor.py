"""A reader's position in a zone's log, as text that outlives the reader and this process."""

import re
from dataclasses import dataclass

from kakuri_zones.logs._errors import LogCursorError
from kakuri_zones.logs._format import LinePosition

# A number fits into a signed 64-bit integer, like the offset of a file.
_NUMBER = "(0|[1-9][0-9]{0,17})"
_CURSOR = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:\.([fp])(?:\.{_NUMBER})?)?")
_RECORD_CURSOR = re.compile(r"(s)?(?:([tu])([1-9][0-9]{0,6})\.)?([0-9.fp]+)")


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One file of a log: its attempt, and the number of files of that attempt before it."""

    attempt: int = 0
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in a segment, and where in a line it is.

    In a line that was returned as several records, `line_start` is where its header is.
    """

    segment: Segment = Segment()
    offset: int = 0
    line_position: LinePosition = LinePosition.START
    line_start: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Read a cursor from text.

        Raises:
            LogCursorError: The text is not a cursor.
        """
        found = _CURSOR.fullmatch(text)
        if found is None:
            raise LogCursorError(text)
        attempt, sequence, offset = (int(found[group]) for group in (1, 2, 3))
        line_start = None if found[5] is None else int(found[5])
        return cls(Segment(attempt, sequence), offset, LinePosition(found[4] or ""), line_start)

    def __str__(self) -> str:
        text = f"{self.segment.attempt}.{self.segment.sequence}.{self.offset}"
        if self.line_position is not LinePosition.START:
            text += f".{self.line_position.value}"
        return text if self.line_start is None else f"{text}.{self.line_start}"


@dataclass(frozen=True, slots=True)
class TailSearch:
    """The progress of a search for the last lines, backwards from the end of a log.

    Attributes:
        missing: Number of line ends still to be found, including the one before the first line.
        before: The position before which the search continues.
        has_match: Whether a selected record was found.
    """

    missing: int
    before: Cursor
    has_match: bool = False

    @property
    def segment(self) -> Segment:
        """The file that is searched."""
        return self.before.segment

    def __str__(self) -> str:
        return f"{'u' if self.has_match else 't'}{self.missing}.{self.before}"


@dataclass(frozen=True, slots=True)
class RecordCursor:
    """The position of a reader of records.

    Attributes:
        at: The position, or the progress of the search for the last lines.
        has_begun: Whether the time from which records are selected was reached.
    """

    at: Cursor | TailSearch = Cursor()
    has_begun: bool = False

    @property
    def segment(self) -> Segment:
        """The file that the reader is in."""
        return self.at.segment

    @classmethod
    def parse(cls, text: str) -> "RecordCursor":
        """Read a cursor from text.

        Raises:
            LogCursorError: The text is not a cursor.
        """
        found = _RECORD_CURSOR.fullmatch(text)
        if found is None:
            raise LogCursorError(text)
        begun, search, missing, position = found.groups()
        at = Cursor.parse(position)
        has_begun = begun is not None
        if search is None:
            return cls(at, has_begun)
        return cls(TailSearch(int(missing), at, search == "u"), has_begun)

    def __str__(self) -> str:
        return f"s{self.at}" if self.has_begun else str(self.at)


def parse_bounded(
    text: str, kind: type[Cursor] | type[RecordCursor]
) -> tuple[Cursor | RecordCursor, Cursor | None]:
    """Read a cursor that may have an end: `POSITION-END`.

    Args:
        text: The cursor.
        kind: What the position is.

    Raises:
        LogCursorError: The text is not a cursor.
    """
    position, dash, end = text.partition("-")
    try:
        return kind.parse(position), Cursor.parse(end) if dash else None
    except LogCursorError as error:
        raise LogCursorError(text) from error
