"""The slots of long responses, shared among the users of the machine and other hosts."""

from collections import Counter
from collections.abc import Callable
from itertools import count
from weakref import WeakSet

from kakuri_workload import CopyableError

MAX_STREAMS = 256
"""Maximum number of concurrent streams of events."""


class TooManyStreams(CopyableError):
    """Too many streams are open, or too many are reading pages from the agent."""


class StreamSlot:
    """The slot of one stream; it is free once nothing refers to this object.

    Attributes:
        user: The user whose stream it is.
        number: Slots are numbered in the order in which they were taken.
        is_displaced: Whether the stream of another user took the slot. This one must end: it reads
            nothing more from the agent, and is cut off if its client does not read.
        end: Called when that happens, unless it is None.
    """

    __slots__ = ("__weakref__", "end", "is_displaced", "number", "user")

    def __init__(self, user: str, number: int) -> None:
        self.user = user
        self.number = number
        self.is_displaced = False
        self.end: Callable[[], object] | None = None


class StreamSlots:
    """The slots of one kind of stream; its length is the number of streams that have not ended."""

    def __init__(self, limit: int | None = None, kind: str = "streams of events") -> None:
        """Create free slots.

        Args:
            limit: Number of slots; MAX_STREAMS by default.
            kind: What has a slot, in the plural, for the error.
        """
        self._limit = limit
        self._kind = kind
        self._slots: WeakSet[StreamSlot] = WeakSet()
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._slots)

    def take(self, user: str) -> tuple[StreamSlot, bool]:
        """Return a slot for a stream of a user, and whether another stream was displaced for it.

        If all slots are taken, displace the oldest stream of the user with the most streams.

        Raises:
            TooManyStreams: All slots are taken, and no user has more than this one would have.
        """
        displaced = self._stream_to_displace(user)
        if displaced is not None:
            displaced.is_displaced = True
            if displaced.end is not None:
                displaced.end()
        slot = StreamSlot(user, next(self._numbers))
        self._slots.add(slot)
        return slot, displaced is not None

    def free(self, slot: StreamSlot) -> None:
        """Free a slot before nothing refers to it any more."""
        self._slots.discard(slot)

    def check(self, user: str) -> None:
        """Raise TooManyStreams if `take` would."""
        self._stream_to_displace(user)

    def _stream_to_displace(self, user: str) -> StreamSlot | None:
        taken = [each for each in self._slots if not each.is_displaced]
        limit = MAX_STREAMS if self._limit is None else self._limit
        if len(taken) < limit:
            return None
        held = Counter(each.user for each in taken)
        held[user] += 1
        most = max(held.values())
        if held[user] == most:
            raise TooManyStreams(f"{limit} {self._kind} are open already, which is the limit")
        candidates = [each for each in taken if held[each.user] == most]
        return min(candidates, key=lambda each: each.number)
