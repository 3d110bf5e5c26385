"""Slots of long responses and queued requests, shared among users."""

from collections import Counter
from collections.abc import Callable
from itertools import count
from weakref import WeakSet


class Slot:
    """The slot of one response or queued request; it is free once nothing refers to this object.

    Attributes:
        user: The user who holds the slot.
        number: Slots are numbered in the order in which they were taken.
        is_displaced: Whether the response of another user took the slot. This one must end: it
            reads nothing more from the agent, and is cut off if its client does not read.
        end: Called when the slot is displaced; None for no callback.
    """

    __slots__ = ("__weakref__", "end", "is_displaced", "number", "user")

    def __init__(self, user: str, number: int) -> None:
        self.user = user
        self.number = number
        self.is_displaced = False
        self.end: Callable[[], object] | None = None


class Slots:
    """The slots of one kind of response; its length is the number of those that have not ended."""

    def __init__(self, limit: int, kind: str, limit_error: Callable[[str], Exception]) -> None:
        """Create free slots.

        Args:
            limit: Number of slots.
            kind: What has a slot, in the plural, for the error.
            limit_error: Returns the error of a response that gets no slot, from its message.
        """
        self._limit = limit
        self._kind = kind
        self._limit_error = limit_error
        self._slots: WeakSet[Slot] = WeakSet()
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._slots)

    def take(self, user: str) -> Slot:
        """Return a slot for a response to a user.

        If all slots are taken, displace the oldest response of the user with the most of them.

        Raises:
            Exception: From `limit_error`: all slots are taken, and no user has more than this one
                would have.
        """
        displaced = self._slot_to_displace(user)
        if displaced is not None:
            displaced.is_displaced = True
            if displaced.end is not None:
                displaced.end()
        slot = Slot(user, next(self._numbers))
        self._slots.add(slot)
        return slot

    def free(self, slot: Slot) -> None:
        """Free a slot now, without waiting for the last reference."""
        self._slots.discard(slot)

    def check(self, user: str) -> None:
        """Raise the error that `take` would."""
        self._slot_to_displace(user)

    def _slot_to_displace(self, user: str) -> Slot | None:
        taken = [each for each in self._slots if not each.is_displaced]
        if len(taken) < self._limit:
            return None
        held = Counter(each.user for each in taken)
        held[user] += 1
        most = max(held.values())
        if held[user] == most:
            message = f"{self._limit} {self._kind} are in progress, which is the limit"
            raise self._limit_error(message)
        candidates = [each for each in taken if held[each.user] == most]
        return min(candidates, key=lambda each: each.number)
