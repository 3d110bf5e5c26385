"""The history of a workload: its latest transitions."""

from dataclasses import dataclass, replace
from typing import TypeAlias

from kakuri_workload import WorkloadState

from kakuri_registry._entry import WorkloadEntry

MAX_HISTORY = 16
"""Number of transitions that are kept: two or three runs of a workload that crashes."""

MAX_HISTORY_MESSAGE = 256
"""Characters of a message in the history; the entry has the latest message in full."""


@dataclass(frozen=True, slots=True)
class Transition:
    """A transition of a workload to a state, or to another reason or attempt in the same state.

    Attributes:
        at: When it happened.
        state: The state afterwards.
        attempt: The attempt, counted from 0.
        reason: The reason of the state.
        message: The message of the state, at most `MAX_HISTORY_MESSAGE` characters.
        exit_code: The exit code of an ended run.
        count: Number of consecutive attempts that ended with this transition after the same
            transitions. Only those of the last attempt are kept, so that a crash loop does not
            push out earlier history.
    """

    at: float
    state: WorkloadState
    attempt: int = 0
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None
    count: int = 1


History: TypeAlias = tuple[Transition, ...]
"""Transitions, oldest first. A stored history lacks the registration, which the entry has."""


def extended(history: History, before: WorkloadEntry, after: WorkloadEntry) -> History:
    """Return the stored history of a workload after a change of its entry."""
    run, earlier = after.run, before.run
    if (
        earlier.state is run.state
        and earlier.reason == run.reason
        and earlier.attempt == run.attempt
    ):
        return history
    message = run.message
    if message is not None and len(message) > MAX_HISTORY_MESSAGE:
        message = message[: MAX_HISTORY_MESSAGE - 1] + "…"
    transition = Transition(
        after.changed_at, run.state, run.attempt, run.reason, message, run.exit_code
    )
    if run.attempt > earlier.attempt:
        history, transition = _folded(history, transition, earlier.attempt)
    return (*history, transition) if len(history) < MAX_HISTORY else (*history[1:], transition)


def _folded(history: History, transition: Transition, attempt: int) -> tuple[History, Transition]:
    """Drop the attempt before the last one if both had the same transitions.

    `transition` ends the last one.
    """
    last = [each for each in history if each.attempt == attempt]
    if attempt == 0 or not last or last[0].reason != transition.reason:
        return history, transition  # the first attempt, or one whose beginning was dropped
    ended_before, last = last[0], last[1:]  # an attempt begins with the end of the one before it
    start = len(history) - len(last) - 1
    begin = start
    while begin and history[begin - 1].attempt == attempt - 1:
        begin -= 1
    before = list(history[begin:start])
    if attempt > 1 and before and before[0].reason == transition.reason:
        before, begin = before[1:], begin + 1
    if _signature([*before, ended_before]) != _signature([*last, transition]):
        return history, transition
    return (*history[:begin], *last), replace(transition, count=ended_before.count + 1)


def _signature(transitions: list[Transition]) -> list[tuple[object, ...]]:
    return [(each.state, each.reason, each.exit_code) for each in transitions]


def complete(history: History, entry: WorkloadEntry) -> History:
    """Return a stored history with the registration in front, unless it has been pushed out."""
    if len(history) == MAX_HISTORY:
        return history
    return (Transition(entry.registered_at, WorkloadState.PENDING), *history)
