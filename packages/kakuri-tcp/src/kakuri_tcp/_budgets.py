"""A budget of bytes that the connections of a server share."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_Holder = TypeVar("_Holder", bound=Hashable)


class SharedBudget(Generic[_Holder]):
    """Counts the bytes that each connection holds, and picks the ones to close above the limit.

    The connections that hold the most bytes for the longest time are closed first: an honest peer
    finishes a large message quickly, an attacker who wants to tie up memory does not.

    Attributes:
        limit: Bytes for all connections together.
        total: Bytes that they hold now.
    """

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self.limit = limit
        self.total: int = 0
        self._clock = clock
        self._held: dict[_Holder, tuple[int, float]] = {}  # bytes, and since when no fewer

    def __repr__(self) -> str:
        return f"<SharedBudget {self.total} of {self.limit} bytes>"

    def __contains__(self, holder: object) -> bool:
        return holder in self._held

    @property
    def is_exceeded(self) -> bool:
        """Whether the connections hold more than the limit."""
        return self.total > self.limit

    @property
    def has_room(self) -> bool:
        """Whether at least a quarter of the budget is free."""
        return self.total * 4 <= self.limit * 3

    def set(self, holder: _Holder, size: int) -> None:
        """Set how many bytes a connection holds."""
        before, since = self._held.get(holder, (0, 0.0))
        self.total += size - before
        if not size:
            self._held.pop(holder, None)
        elif size < before or not before:
            self._held[holder] = (size, self._clock())
        else:
            self._held[holder] = (size, since)

    def take_worst(self) -> list[_Holder]:
        """Remove the connections that hold the most for the longest time until there is room."""
        now = self._clock()

        def byte_seconds(holder: _Holder) -> tuple[float, int]:
            size, since = self._held[holder]
            return size * (now - since), size

        removed: list[_Holder] = []
        for holder in sorted(self._held, key=byte_seconds, reverse=True):
            if self.has_room:
                break
            self.set(holder, 0)
            removed.append(holder)
        return removed
