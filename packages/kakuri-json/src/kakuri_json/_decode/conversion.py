"""The state of one conversion: the cursor over its values, and the faults found so far.

A cursor returns one value after the other, in the order of the document, so that a conversion works
the same for text and for values that are already parsed.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, TypeAlias

from kakuri_json._limits import MAX_FAULTS, Limits, exceeded
from kakuri_json._types.describe import describe, shorten
from kakuri_json._types.shapes import Mapping, Shape

Path: TypeAlias = tuple[Any, ...]
"""A path as a linked list, so that deep paths need no copies: empty, or the outer path and a
step."""

INVALID = object()
"""The result of converting a value that has a fault."""


class LocatedFault(NamedTuple):
    """A fault, and the position of its value in the text."""

    path: Path
    message: str
    position: int | None


class TooManyFaults(Exception):
    """Raised after MAX_FAULTS faults; the rest of the document is not read."""


class Cursor(Protocol):
    """Returns the values of a document one after the other."""

    @property
    def position(self) -> int | None:
        """Position of the current value in the text; None for parsed values."""

    def begin(self) -> Any:
        """Begin the current value: return a scalar, or any dict or list in place of a container."""

    def whole(self, value: Any) -> Any:
        """Return the complete value, with nested values, for which begin() returned `value`."""

    def skip(self, value: Any) -> None:
        """Move past the value for which begin() returned `value`."""

    def abandon(self, start: int | None, value: Any) -> None:
        """Move past a container from any position inside it."""

    def count(self, value: Any) -> int | None:
        """Return the number of items of a container; None if it is only known at its end."""

    def items(self, value: Any) -> Iterator[None]:
        """Iterate over the items of an array; each must be read before the next step."""

    def members(self, value: Any, shape: Mapping | None = None) -> Iterator[Any]:
        """Iterate over the keys of an object; each value must be read before the next step.

        Given a shape, the iterator may also yield lists of pairs: members that were read together.
        """

    def read_run(self, item: Shape) -> tuple[list[Any], bool]:
        """Read the longest possible run of items together; it may be empty.

        Returns:
            The items, and whether the cursor is now at another item.
        """

    def find(self, value: Any, key: str, missing: Any) -> tuple[Any, int | None]:
        """Return the value of a key and its position, without entering the object."""

    def learn(self, item: Shape, start: int | None) -> None:
        """Learn the layout of the item that began at a position and ends at the current one."""


class ValueCursor:
    """A cursor over values that are already parsed, such as those of a TOML file."""

    position: int | None = None

    def __init__(self, value: Any, limits: Limits) -> None:
        self._current = value
        self._limits = limits
        self._depth = 0

    def begin(self) -> Any:
        return self._current

    def whole(self, value: Any) -> Any:
        return value

    def skip(self, value: Any) -> None:
        pass

    def abandon(self, start: int | None, value: Any) -> None:
        pass

    def count(self, value: Any) -> int | None:
        return len(value)

    def items(self, value: Any) -> Iterator[None]:
        self._enter()
        for self._current in value:
            yield
        self._depth -= 1

    def members(self, value: Any, shape: Mapping | None = None) -> Iterator[Any]:  # noqa: ARG002
        self._enter()
        for key, self._current in value.items():
            yield key
        self._depth -= 1

    def read_run(self, item: Shape) -> tuple[list[Any], bool]:  # noqa: ARG002
        return [], True

    def find(self, value: Any, key: str, missing: Any) -> tuple[Any, int | None]:
        return value.get(key, missing), None

    def learn(self, item: Shape, start: int | None) -> None:
        pass

    def _enter(self) -> None:
        if self._depth >= self._limits.max_depth:
            raise exceeded(self._limits, "max_depth")
        self._depth += 1


class Conversion:
    """One conversion.

    Attributes:
        faults: The faults found so far.
        cursor: Returns the next value.
        limits: The limits of the cursor.
    """

    def __init__(self, cursor: Cursor, limits: Limits) -> None:
        self.faults: list[LocatedFault] = []
        self.cursor = cursor
        self.limits = limits

    def fault(self, path: Path, message: str, position: int | None) -> object:
        """Add a fault.

        Returns:
            INVALID, for the caller to return as the value.

        Raises:
            TooManyFaults: The limit on reported faults is reached.
        """
        self.faults.append(LocatedFault(path, message, position))
        if len(self.faults) == MAX_FAULTS:
            raise TooManyFaults
        return INVALID

    def mismatch(self, path: Path, shape: Shape, value: Any, position: int | None) -> object:
        """Add a fault for a value that does not match the shape, and move past the value."""
        self.fault(path, f"expected {describe(shape)}, got {shorten(value)}", position)
        self.cursor.skip(value)
        return INVALID
