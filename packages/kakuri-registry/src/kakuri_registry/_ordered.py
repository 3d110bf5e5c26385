"""A sorted set of ids whose operations cost about the same for any number of ids.

The ids are in sorted blocks of bounded length. Changes are first recorded in a dict, which is
nearly free. They are merged into the blocks together, when the set is read or many changes have
been recorded. An id that is added and discarded in between, because its workload is only briefly in
a state, never costs a search.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

BLOCK = 512
"""Number of ids in a new block; it is split at twice as many. Moving so few pointers is cheap."""

MAX_UNMERGED = 1024
"""Number of recorded changes after which they are merged: 2 or 3 ms of work."""


class OrderedIds:
    """A set of ids that can be iterated in order, beginning after any id."""

    __slots__ = ("_blocks", "_last", "_size", "_unmerged")

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._blocks: list[list[str]] = []
        self._last: list[str] = []  # the last id of each block
        self._unmerged: dict[str, bool] = {}  # whether to add an id to the blocks, or to remove it
        self._size = 0
        self._rebuild(sorted(ids))

    def add(self, workload_id: str) -> None:
        """Add an id, which must not be in the set."""
        self._size += 1
        # The opposite of a recorded change cancels it.
        if self._unmerged.pop(workload_id, None) is None:
            self._unmerged[workload_id] = True
            if len(self._unmerged) > MAX_UNMERGED:
                self._merge()

    def discard(self, workload_id: str) -> None:
        """Remove an id, which must be in the set."""
        self._size -= 1
        if self._unmerged.pop(workload_id, None) is None:
            self._unmerged[workload_id] = False
            if len(self._unmerged) > MAX_UNMERGED:
                self._merge()

    def after(self, workload_id: str) -> Iterator[str]:
        """Yield the ids after a given one, in order; the set must not change in the meantime."""
        if self._unmerged:
            self._merge()
        index = bisect_right(self._last, workload_id)
        if index == len(self._blocks):
            return
        block = self._blocks[index]
        yield from block[bisect_right(block, workload_id) :]
        for block in self._blocks[index + 1 :]:
            yield from block

    def __len__(self) -> int:
        return self._size

    def _merge(self) -> None:
        """Apply the recorded changes to the blocks."""
        changes, self._unmerged = self._unmerged, {}
        if len(changes) * 4 > self._size:
            ids = {each for block in self._blocks for each in block if each not in changes}
            ids.update(each for each, is_member in changes.items() if is_member)
            self._rebuild(sorted(ids))
            return
        index = 0
        for workload_id in sorted(changes):
            index = min(bisect_left(self._last, workload_id, index), len(self._blocks) - 1)
            block = self._blocks[index]
            position = bisect_left(block, workload_id)
            if changes[workload_id]:
                block.insert(position, workload_id)
                self._last[index] = block[-1]
                if len(block) >= 2 * BLOCK:
                    self._split(index)
                continue
            del block[position]
            if block:
                self._last[index] = block[-1]
            else:
                del self._blocks[index], self._last[index]

    def _split(self, index: int) -> None:
        block = self._blocks[index]
        self._blocks.insert(index + 1, block[BLOCK:])
        del block[BLOCK:]
        self._last[index : index + 1] = [block[-1], self._blocks[index + 1][-1]]

    def _rebuild(self, ids: list[str]) -> None:
        self._blocks = [ids[start : start + BLOCK] for start in range(0, len(ids), BLOCK)]
        self._last = [block[-1] for block in self._blocks]
        self._size = len(ids)
