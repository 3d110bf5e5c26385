"""A cache of replies and of what their receivers made of them.

Most polls find a workload unchanged, so an identical line is neither decoded nor converted again.
"""

from array import array
from collections.abc import Callable
from typing import Any, NamedTuple

MAX_BYTES = 512
"""Bytes of the longest line that is cached; that of a status without details is shorter."""

MAX_LINES = 1024
"""Lines that are cached; with their results they take about 2 MiB."""

SLOTS = 4 * MAX_LINES
"""Lines that are known to have come once, each in the slot that its hash selects."""


class CachedReply(NamedTuple):
    """What a line that came twice was decoded and converted to."""

    convert: Callable[[Any], object]
    reply: Any
    """What the line was decoded to; it can't be changed."""
    result: Any
    """What `convert` made of the reply."""


class ReplyCache:
    """Caches the latest lines that came twice.

    A line that comes once, as most do where clients ask for more workloads than fit, costs a hash
    and a comparison, and no memory.
    """

    def __init__(self) -> None:
        self._seen = array("q", bytes(8 * SLOTS))  # the hash of the last line that was new in each
        self._cached: dict[bytes, CachedReply] = {}

    def find(self, line: bytes, convert: Callable[[Any], object]) -> CachedReply | None:
        """Return the entry of a line for the same `convert`."""
        known = self._cached.get(line)
        return known if known is not None and known[0] is convert else None

    def add(self, line: bytes, convert: Callable[[Any], object], reply: Any, result: Any) -> None:
        """Cache a line if it has come before."""
        number = hash(line)
        slot = number % SLOTS
        if self._seen[slot] != number:
            self._seen[slot] = number
        elif len(line) <= MAX_BYTES:
            if len(self._cached) >= MAX_LINES:
                del self._cached[next(iter(self._cached))]
            self._cached[line] = CachedReply(convert, reply, result)
