"""The size of a workload in memory and in a store, in bytes.

Sizes are computed, not measured: a workload has the same size in every process, slightly less than
the memory that it takes.
"""

from kakuri_workload import History, Workload

from kakuri_registry._entry import WorkloadEntry

ENTRY_BYTES = 1024
"""Size of a workload without its strings: the entry, its indexes and its row."""

TRANSITION_BYTES = 256
"""Size of a transition in a history without its strings."""

TEXT_BYTES = 64
"""Size of a string without its characters: the header of a `str`, and a reference to it."""


def spec_size(workload: Workload) -> int:
    """Return the size of a workload's specification in bytes."""
    texts = [workload.image]
    if workload.command:
        texts += workload.command
    if workload.args:
        texts += workload.args
    for mapping in (workload.env, workload.labels):
        if mapping:
            texts += mapping
            texts += mapping.values()
    for text in (workload.working_dir, workload.user):
        if text is not None:
            texts.append(text)
    return ENTRY_BYTES + texts_size(texts)


def entry_size(entry: WorkloadEntry, history: History) -> int:
    """Return the size of a workload in bytes: its specification, its messages, its history."""
    texts = [entry.run.reason, entry.run.message, entry.trace]
    for transition in history:
        texts += (transition.reason, transition.message)
    given = [text for text in texts if text is not None]
    return spec_size(entry.workload) + TRANSITION_BYTES * len(history) + texts_size(given)


def texts_size(texts: list[str]) -> int:
    """Return the total size of strings in bytes."""
    # Joined, because an argument list may have a hundred thousand items.
    whole = "".join(texts)
    if whole.isascii():
        return TEXT_BYTES * len(texts) + len(whole)
    # UTF-8 takes at most four bytes for a character, and so does `str`.
    return sum(TEXT_BYTES + (len(each) if each.isascii() else 4 * len(each)) for each in texts)
