"""The state of one conversion: what it walks over, and the faults that it has found.

A cursor lets a conversion take one value after the other, in the order of the document, without
knowing whether they come from a text or are parsed already.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, TypeAlias

from kakuri_json._limits import MAX_FAULTS, Limits, exceeded
from kakuri_json._types.describe import describe, shorten
from kakuri_json._types.shapes import Mapping, Shape

Path: TypeAlias = tuple[Any, ...]
"""A linked list, so that deep paths cost no copies: empty, or the path before and a step."""

INVALID = object()
"""Stands for a value that had a fault."""


class Found(NamedTuple):
    """A fault, and the position in the text of the value that has it."""

    path: Path
    message: str
    position: int | None


class Enough(Exception):
    """There are MAX_FAULTS faults: what is wrong beyond them changes nothing."""


class Cursor(Protocol):
    """Takes the values of a document one after the other."""

    @property
    def position(self) -> int | None:
        """Where the present value begins in the text; None where there is no text."""

    def begin(self) -> Any:
        """Begin the present value: return a scalar itself, or some dict or list for a container."""

    def whole(self, value: Any) -> Any:
        """Return the whole of a value that begin() returned, with everything inside it."""

    def skip(self, value: Any) -> None:
        """Move past the value that begin() returned."""

    def abandon(self, start: int | None, value: Any) -> None:
        """Move past a container that was entered, and past whatever is still inside it."""

    def count(self, value: Any) -> int | None:
        """Return how many items a container has, or None where only its end tells."""

    def items(self, value: Any) -> Iterator[None]:
        """Walk over the items of an array; each has to be taken before the next step."""

    def members(self, value: Any, shape: Mapping | None = None) -> Iterator[Any]:
        """Walk over the keys of an object; each value has to be taken before the next step.

        With a shape, lists of pairs may come as well: members that were read at once.
        """

    def many(self, item: Shape) -> tuple[list[Any], bool]:
        """Read as many items at once as possible, maybe none.

        Returns:
            The items, and whether the cursor stands at another one.
        """

    def find(self, value: Any, key: str, missing: Any) -> tuple[Any, int | None]:
        """Return the value of a key in an object that begins, and its position; enter nothing."""

    def learn(self, item: Shape, start: int | None) -> None:
        """Remember the spelling of the item that began at a position and ends here."""


class ValueCursor:
    """Walks over values that are parsed already (of a TOML file, say)."""

    position: int | None = None

    def __init__(self, value: Any, limits: Limits) -> None:
        self._present = value
        self._limits = limits
        self._depth = 0

    def begin(self) -> Any:
        return self._present

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
        for self._present in value:
            yield
        self._depth -= 1

    def members(self, value: Any, shape: Mapping | None = None) -> Iterator[Any]:  # noqa: ARG002
        self._enter()
        for key, self._present in value.items():
            yield key
        self._depth -= 1

    def many(self, item: Shape) -> tuple[list[Any], bool]:  # noqa: ARG002
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
        faults: those found so far.
        cursor: where the next value is read.
        limits: of the cursor's document or value.
    """

    def __init__(self, cursor: Cursor, limits: Limits) -> None:
        self.faults: list[Found] = []
        self.cursor = cursor
        self.limits = limits

    def fault(self, path: Path, message: str, position: int | None) -> object:
        """Add a fault.

        Returns:
            INVALID, which the caller returns in place of the value.

        Raises:
            Enough: It is the last one that is reported.
        """
        self.faults.append(Found(path, message, position))
        if len(self.faults) == MAX_FAULTS:
            raise Enough
        return INVALID

    def mismatch(self, path: Path, shape: Shape, value: Any, position: int | None) -> object:
        """Add the fault that a value does not have the expected shape, and move past the value."""
        self.fault(path, f"expected {describe(shape)}, got {shorten(value)}", position)
        self.cursor.skip(value)
        return INVALID
