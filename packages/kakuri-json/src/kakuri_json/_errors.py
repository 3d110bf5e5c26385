"""What can be wrong with a document, a value or a type.

JSONError (ValueError)
├── JSONSyntaxError                    the text is not valid JSON (RFC 8259)
├── LimitError                         the document or the value exceeds one of the Limits
├── ValidationError                    valid JSON, but not what the type requires; has every Fault
├── EncodeError                        JSON cannot represent the value
└── UnsupportedTypeError (TypeError)   JSON cannot represent the type: a mistake in the program
"""

from typing import NamedTuple


class JSONError(ValueError):
    """The base of all errors of this package."""


class Place(NamedTuple):
    """Where in a document: index, line and column, a part of the line, the place in that part."""

    position: int | None = None
    line: int | None = None
    column: int | None = None
    excerpt: str = ""
    caret: int = 0


NOWHERE = Place()


class _PlacedError(JSONError):
    """An error with a place in the document, shown under the message with a caret."""

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(message)
        self.message = message
        self.position: int | None = place.position
        self.line: int | None = place.line
        self.column: int | None = place.column
        self.excerpt: str = place.excerpt
        self._caret = place.caret

    def __str__(self) -> str:
        if self.line is None:
            return self.message
        headline = f"{self.message} at line {self.line}, column {self.column}"
        if not self.excerpt:
            return headline
        return f"{headline}\n    {self.excerpt}\n    {' ' * self._caret}^"


class JSONSyntaxError(_PlacedError):
    """The text is no JSON.

    position: index of the first wrong byte (for bytes) or character (for str).
    line, column: of the first wrong character, both counted from 1; the column in characters.
    expected, got: the two halves of the message.
    excerpt: a part of that line.
    """

    def __init__(
        self, message: str, *, expected: str = "", got: str = "", place: Place = NOWHERE
    ) -> None:
        super().__init__(message, place)
        self.expected = expected
        self.got = got


class LimitError(_PlacedError):
    """A document or a value exceeds a limit.

    limit: the name of the field of Limits.
    maximum: its value.
    position, line, column: as in JSONSyntaxError; None when a value was being written.
    """

    def __init__(
        self, message: str, *, limit: str = "", maximum: int = 0, place: Place = NOWHERE
    ) -> None:
        super().__init__(message, place)
        self.limit = limit
        self.maximum = maximum


class Fault(NamedTuple):
    """One thing that is wrong with a document's structure.

    path: from the root, like `$.workload.memory_mb` or `$.items[3]`.
    message: what was expected and what came.
    line, column: where the value begins, from 1; for a missing field, where its object begins.
        None when the value did not come from text.
    """

    path: str
    message: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = "" if self.line is None else f" (line {self.line}, column {self.column})"
        return f"{self.path}: {self.message}{place}"


class ValidationError(JSONError):
    """A document or value is not what the type asks for.

    faults: all that is wrong, in the order of the document, at most MAX_FAULTS.
    """

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__(faults)
        self.faults = faults

    def __str__(self) -> str:
        return "\n".join(map(str, self.faults))


class EncodeError(JSONError):
    """A value that has no spelling in JSON: NaN, a lone surrogate, a cycle, an unknown type."""


class UnsupportedTypeError(JSONError, TypeError):
    """A type that no codec can be made for."""
