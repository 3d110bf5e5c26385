"""A cache of replies and of what their receivers made of them.

Most polls find a workload unchanged, so an identical line is neither decoded nor converted again.
"""

from array import array
from collections.abc import Callable
from typing import Any, NamedTuple

MAX_BYTES = 512
"""Bytes of the longest line that is cached; that of a status without details is shorter."""

SLOTS = 4096
"""Lines that are cached, each in the slot that its hash selects; they take a few MiB."""


class CachedReply(NamedTuple):
    """A line that came twice."""

    line: bytes
    convert: Callable[[Any], object]
    reply: Any
    """What the line was decoded to; it can't be changed."""
    result: Any
    """What `convert` made of the reply."""


class ReplyCache:
    """Caches lines that come twice, until another line takes the slot.

    A line that comes once costs a hash and a comparison, and is not kept. Lines that share a slot
    displace each other.
    """

    def __init__(self) -> None:
        self._seen = array("q", bytes(8 * SLOTS))  # the hash of the last line that was new in each
        self._cached: list[CachedReply | None] = [None] * SLOTS

    def find(self, line: bytes, convert: Callable[[Any], object]) -> CachedReply | None:
        """Return the entry of a line for the same `convert`."""
        known = self._cached[hash(line) % SLOTS]
        if known is not None and known[0] == line and known[1] is convert:
            return known
        return None

    def add(self, line: bytes, convert: Callable[[Any], object], reply: Any, result: Any) -> None:
        """Cache a line if it has come before."""
        number = hash(line)
        slot = number % SLOTS
        if self._seen[slot] != number:
            self._seen[slot] = number
        elif len(line) <= MAX_BYTES:
            self._cached[slot] = CachedReply(line, convert, reply, result)
