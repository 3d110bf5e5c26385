"""Replies that come again and again, with what their receiver made of them.

Clients ask for the state of a workload most often to find it unchanged. A line that came before is
then neither decoded nor converted again.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

MAX_BYTES = 512
"""Bytes of a line that is remembered; that of a status without details is shorter."""

PLACES = 64
"""Lines that are remembered, each at the place that its hash selects."""


class Repeated(NamedTuple):
    """A line that came twice."""

    line: bytes
    convert: Callable[[Any], object]
    reply: Any
    """What the line was decoded to; it can't be changed."""
    result: Any
    """What `convert` made of the reply."""


class RepeatedReplies:
    """Remembers lines that come twice, until others take their places.

    A line that comes once, as most do where clients ask for many workloads, costs a hash and a
    comparison, and no memory.
    """

    def __init__(self) -> None:
        self._seen = [0] * PLACES  # the hash of the last line that was new at each place
        self._repeated: list[Repeated | None] = [None] * PLACES

    def find(self, line: bytes, convert: Callable[[Any], object]) -> Repeated | None:
        """Return what is known of a line for the same `convert`."""
        known = self._repeated[hash(line) % PLACES]
        if known is not None and known[0] == line and known[1] is convert:
            return known
        return None

    def add(self, line: bytes, convert: Callable[[Any], object], reply: Any, result: Any) -> None:
        """Remember a line if it has come before."""
        number = hash(line)
        place = number % PLACES
        if self._seen[place] != number:
            self._seen[place] = number
        elif len(line) <= MAX_BYTES:
            self._repeated[place] = Repeated(line, convert, reply, result)
