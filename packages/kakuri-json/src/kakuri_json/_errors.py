"""The errors of this package, about documents, values and types.

JSONError (ValueError)
├── JSONSyntaxError                    the text is not valid JSON (RFC 8259)
├── LimitError                         the document or the value exceeds one of the Limits
├── ValidationError                    valid JSON, but not what the type requires; has every Fault
├── EncodeError                        JSON cannot represent the value
└── UnsupportedTypeError (TypeError)   JSON cannot represent the type: a mistake in the program
"""

from typing import NamedTuple


class JSONError(ValueError):
    """The base class of all errors of this package."""


class Location(NamedTuple):
    """A position in a document, and the part of its line that an error message quotes.

    Attributes:
        position: Index in the document.
        line: Number of the line, from 1.
        column: Number of the character in the line, from 1.
        excerpt: A part of the line.
        caret: Index of the position in the excerpt.
    """

    position: int | None = None
    line: int | None = None
    column: int | None = None
    excerpt: str = ""
    caret: int = 0


NO_LOCATION = Location()


class _LocatedError(JSONError):
    """An error with a position, which the message shows with a caret."""

    def __init__(self, message: str, location: Location) -> None:
        super().__init__(message)
        self.message = message
        self.position: int | None = location.position
        self.line: int | None = location.line
        self.column: int | None = location.column
        self.excerpt: str = location.excerpt
        self._caret = location.caret

    def __str__(self) -> str:
        if self.line is None:
            return self.message
        headline = f"{self.message} at line {self.line}, column {self.column}"
        if not self.excerpt:
            return headline
        return f"{headline}\n    {self.excerpt}\n    {' ' * self._caret}^"


class JSONSyntaxError(_LocatedError):
    """The text is not valid JSON.

    Attributes:
        position: Index of the first invalid byte (for bytes) or character (for a str).
        line: Line of that character, from 1.
        column: Column of that character, from 1, counted in characters.
        expected: What the grammar requires at the position.
        got: What the document has there instead.
        excerpt: A part of the line.
    """

    def __init__(
        self, message: str, *, expected: str = "", got: str = "", location: Location = NO_LOCATION
    ) -> None:
        super().__init__(message, location)
        self.expected = expected
        self.got = got


class LimitError(_LocatedError):
    """A document or a value exceeds a limit.

    Attributes:
        limit: Name of the field of Limits, or of the argument, such as `max_line`.
        maximum: Value of the limit.
        position: As in JSONSyntaxError; None if a value was encoded.
        line: Likewise.
        column: Likewise.
    """

    def __init__(
        self,
        message: str,
        *,
        limit: str = "",
        maximum: int = 0,
        location: Location = NO_LOCATION,
    ) -> None:
        super().__init__(message, location)
        self.limit = limit
        self.maximum = maximum


class Fault(NamedTuple):
    """One reason why a document does not match the type.

    Attributes:
        path: Path from the root, like `$.workload.memory_mb` or `$.items[3]`.
        message: What was expected, and what the document has instead.
        line: Line in which the value begins, from 1; for a missing field, in which its object
            begins. None if the value was not parsed from text.
        column: Column in that line, from 1.
    """

    path: str
    message: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        where = "" if self.line is None else f" (line {self.line}, column {self.column})"
        return f"{self.path}: {self.message}{where}"


class ValidationError(JSONError):
    """A document or value does not match the type.

    Attributes:
        faults: Every fault, in document order, up to 100.
    """

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__(faults)
        self.faults = faults

    def __str__(self) -> str:
        return "\n".join(map(str, self.faults))


class EncodeError(JSONError):
    """JSON cannot represent the value: NaN, a lone surrogate, a cycle, an unknown class."""


class UnsupportedTypeError(JSONError, TypeError):
    """JSON cannot represent the type, or its `__json__` is not valid."""
