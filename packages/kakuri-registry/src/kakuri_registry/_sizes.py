"""What a workload takes in memory and in a store, in bytes.

These are charges rather than measurements: the same workload always has the same size, also in the
next process, and the size is never much below what the process really uses for it.
"""

from collections.abc import Collection

from kakuri_registry._history import History
from kakuri_registry._workload import Workload, WorkloadEntry

ENTRY_BYTES = 1024
"""Charged for each workload besides its texts: the entry, its indexes and its row."""

STEP_BYTES = 256
"""Charged for each step of a history besides its texts."""

TEXT_BYTES = 64
"""Charged for each text besides its characters: the header of a `str`, and its place."""


def spec_size(workload: Workload) -> int:
    """Return the size of a workload's specification in bytes."""
    size = ENTRY_BYTES + _size(workload.image) + _size(workload.working_dir) + _size(workload.user)
    for texts in (workload.command, workload.args):
        if texts:
            size += _sizes(texts)
    for mapping in (workload.env, workload.labels):
        if mapping:
            size += _sizes(mapping.keys()) + _sizes(mapping.values())
    return size


def entry_size(entry: WorkloadEntry, history: History) -> int:
    """Return the size of a workload in bytes: its specification, its messages, its history."""
    size = spec_size(entry.workload) + _size(entry.reason) + _size(entry.message)
    for step in history:
        size += STEP_BYTES + _size(step.reason) + _size(step.message)
    return size


def _sizes(texts: Collection[str]) -> int:
    if all(map(str.isascii, texts)):  # an argument list may have a hundred thousand items
        return TEXT_BYTES * len(texts) + sum(map(len, texts))
    return sum(map(_size, texts))


def _size(text: str | None) -> int:
    if text is None:
        return 0
    # UTF-8 takes at most four bytes for a character, and so does `str`.
    return TEXT_BYTES + (len(text) if text.isascii() else 4 * len(text))
