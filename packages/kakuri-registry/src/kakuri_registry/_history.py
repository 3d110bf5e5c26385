"""What a workload has been through."""

from dataclasses import dataclass
from typing import TypeAlias

from kakuri_registry._state import WorkloadState
from kakuri_registry._workload import WorkloadEntry

MAX_HISTORY = 16
"""The transitions that are kept of a workload: two or three runs of one that crashes."""

MAX_HISTORY_MESSAGE = 256
"""Characters of a message that history keeps; the entry has the whole of the latest."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One step of a workload: the state it came to, when, and why.

    A state that is stated again with another reason is a step too, and so is each attempt.
    """

    at: float
    state: WorkloadState
    attempt: int = 0
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None


History: TypeAlias = tuple[Transition, ...]
"""Transitions, the oldest first. As it is kept it lacks the first, which the entry tells too."""


def extended(history: History, before: WorkloadEntry, after: WorkloadEntry) -> History:
    """Give the history of a workload that has changed, as it is kept."""
    if (
        before.state is after.state
        and before.reason == after.reason
        and before.attempt == after.attempt
    ):
        return history
    message = after.message
    if message is not None and len(message) > MAX_HISTORY_MESSAGE:
        message = message[: MAX_HISTORY_MESSAGE - 1] + "…"
    step = Transition(
        after.changed_at, after.state, after.attempt, after.reason, message, after.exit_code
    )
    return (*history, step) if len(history) < MAX_HISTORY else (*history[1:], step)


def complete(history: History, entry: WorkloadEntry) -> History:
    """Give a history that begins with the registration, unless that is too long ago."""
    if len(history) == MAX_HISTORY:
        return history
    return (Transition(entry.registered_at, WorkloadState.PENDING), *history)
