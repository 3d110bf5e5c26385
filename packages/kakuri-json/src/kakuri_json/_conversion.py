"""The state of one conversion: where it reads, and the faults that it has found."""

from typing import Any, NamedTuple, TypeAlias

from kakuri_json._cursors import Cursor
from kakuri_json._limits import MAX_FAULTS, Limits
from kakuri_json._shapes import Shape
from kakuri_json._words import describe, show

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
        self.fault(path, f"expected {describe(shape)}, got {show(value)}", position)
        self.cursor.skip(value)
        return INVALID
