"""The slots of streams of events, shared among the users of the machine and other hosts."""

from collections import Counter
from itertools import count
from weakref import WeakSet

from kakuri_workload import CopyableError

MAX_FOLLOWERS = 256
"""The largest number of concurrent streams."""


class TooManyStreams(CopyableError):
    """A limit of concurrent streams is reached."""


class Follower:
    """The slot of one stream, which is free again once nothing refers to this object.

    Attributes:
        is_displaced: Whether another reader's stream has taken the slot, so that this one ends.
    """

    __slots__ = ("__weakref__", "is_displaced", "number", "reader")

    def __init__(self, reader: str, number: int) -> None:
        self.reader = reader
        self.number = number
        self.is_displaced = False


class StreamSlots:
    """The followers of one hub."""

    def __init__(self) -> None:
        self._followers: WeakSet[Follower] = WeakSet()
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._followers)

    def take(self, reader: str) -> tuple[Follower, bool]:
        """Return a slot for a stream of a reader, and whether another stream was displaced for it.

        If all slots are taken, it is the oldest stream of the reader that has the most.

        Raises:
            TooManyStreams: All slots are taken, and no reader has more than this one would have.
        """
        is_full = len(self._followers) >= MAX_FOLLOWERS
        if is_full:
            self._displace_for(reader)
        follower = Follower(reader, next(self._numbers))
        self._followers.add(follower)
        return follower, is_full

    def _displace_for(self, reader: str) -> None:
        followers = list(self._followers)
        held = Counter(each.reader for each in followers)
        held[reader] += 1
        most = max(held.values())
        if held[reader] == most:
            raise TooManyStreams(
                f"{MAX_FOLLOWERS} streams of events are open already, which is the limit"
            )
        candidates = [each for each in followers if held[each.reader] == most]
        oldest = min(candidates, key=lambda each: each.number)
        oldest.is_displaced = True
        self._followers.discard(oldest)
