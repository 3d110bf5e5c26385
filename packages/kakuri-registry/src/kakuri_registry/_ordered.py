"""Ids in order, for listing: adding and taking away cost the same however many there are.

The ids stand in sorted blocks of bounded length. Changes are noted in a dict, which is nearly
free, and go to their blocks in one go: when somebody reads, or when there are many of them. An
id that only passes through, like those of a short state, then never costs a search.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

BLOCK = 512
"""Ids in a block when it is made; it is split at twice as many. Moving so few pointers is cheap."""

MAX_NOTED = 1024
"""Changes that are noted before they go to their blocks: 2 or 3 ms of work."""


class OrderedIds:
    """A set of ids that can be read in order, from any point on."""

    __slots__ = ("_blocks", "_last", "_noted", "_size")

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._blocks: list[list[str]] = []
        self._last: list[str] = []  # of each block
        # What the blocks don't have and should, and what they have and should not.
        self._noted: dict[str, bool] = {}
        self._size = 0
        self._rebuild(sorted(ids))

    def add(self, workload_id: str) -> None:
        """Add an id that is not in here."""
        self._size += 1
        self._note(workload_id, belongs=True)

    def discard(self, workload_id: str) -> None:
        """Take away an id that is in here."""
        self._size -= 1
        self._note(workload_id, belongs=False)

    def after(self, workload_id: str) -> Iterator[str]:
        """Give the ids behind this one, in order; none may come or go meanwhile."""
        if self._noted:
            self._settle()
        number = bisect_right(self._last, workload_id)
        if number == len(self._blocks):
            return
        block = self._blocks[number]
        yield from block[bisect_right(block, workload_id) :]
        for block in self._blocks[number + 1 :]:
            yield from block

    def __len__(self) -> int:
        return self._size

    def _note(self, workload_id: str, *, belongs: bool) -> None:
        if self._noted.pop(workload_id, None) is None:  # else it is as the blocks have it again
            self._noted[workload_id] = belongs
            if len(self._noted) > MAX_NOTED:
                self._settle()

    def _settle(self) -> None:
        """Bring what was noted to its place."""
        noted, self._noted = self._noted, {}
        if len(noted) * 4 > self._size:
            kept = {each for block in self._blocks for each in block if each not in noted}
            kept.update(each for each, belongs in noted.items() if belongs)
            self._rebuild(sorted(kept))
            return
        number = 0
        for workload_id in sorted(noted):
            number = min(bisect_left(self._last, workload_id, number), len(self._blocks) - 1)
            block = self._blocks[number]
            place = bisect_left(block, workload_id)
            if noted[workload_id]:
                block.insert(place, workload_id)
                self._last[number] = block[-1]
                if len(block) >= 2 * BLOCK:
                    self._split(number)
                continue
            del block[place]
            if block:
                self._last[number] = block[-1]
            else:
                del self._blocks[number], self._last[number]

    def _split(self, number: int) -> None:
        block = self._blocks[number]
        self._blocks.insert(number + 1, block[BLOCK:])
        del block[BLOCK:]
        self._last[number : number + 1] = [block[-1], self._blocks[number + 1][-1]]

    def _rebuild(self, ids: list[str]) -> None:
        self._blocks = [ids[start : start + BLOCK] for start in range(0, len(ids), BLOCK)]
        self._last = [block[-1] for block in self._blocks]
        self._size = len(ids)
