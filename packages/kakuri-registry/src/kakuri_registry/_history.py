"""A workload's history as stored: without the registration, which the entry has."""

from collections.abc import Iterable
from dataclasses import replace

from kakuri_workload import MAX_HISTORY, History, Transition, WorkloadState

from kakuri_registry._entry import WorkloadEntry

MAX_HISTORY_MESSAGE = 256
"""Maximum length of a message in the history; the entry has the full latest message."""

RESTARTED = "Restarted"
"""The reason of a workload whose next attempt was requested by a client."""


def extended(history: History, before: WorkloadEntry, after: WorkloadEntry) -> History:
    """Return the stored history of a workload after a change of its entry."""
    run, earlier = after.run, before.run
    if (
        earlier.state is run.state
        and earlier.reason == run.reason
        and earlier.attempt == run.attempt
    ):
        return history
    message = run.message and shortened(run.message)
    transition = Transition(
        after.changed_at, run.state, run.reason, message, run.exit_code, run.attempt
    )
    if run.attempt > earlier.attempt:
        history, transition = _folded(history, transition, earlier.attempt)
    return (*history, transition) if len(history) < MAX_HISTORY else (*history[1:], transition)


def shortened(message: str | None) -> str | None:
    """Shorten a message for a history or an event."""
    if message is None or len(message) <= MAX_HISTORY_MESSAGE:
        return message
    return message[: MAX_HISTORY_MESSAGE - 1] + "…"


def _folded(
    history: History, transition: Transition[WorkloadState], attempt: int
) -> tuple[History, Transition[WorkloadState]]:
    """Drop the second-to-last attempt, and count it, if the last one had the same transitions.

    Attempts that a client requested are not dropped.

    Args:
        history: The history.
        transition: The transition to add, which ends the last attempt.
        attempt: The number of the last attempt.
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
    is_same = _signature([*before, ended_before]) == _signature([*last, transition])
    if not is_same or any(each.reason == RESTARTED for each in (*last, transition)):
        return history, transition
    return (*history[:begin], *last), replace(transition, count=ended_before.count + 1)


def _signature(transitions: Iterable[Transition[WorkloadState]]) -> list[tuple[object, ...]]:
    return [(each.state, each.reason, each.exit_code) for each in transitions]


def complete(history: History, entry: WorkloadEntry) -> History:
    """Return a stored history with the registration at the front, unless it was pushed out."""
    if len(history) == MAX_HISTORY:
        return history
    return (Transition(entry.registered_at, WorkloadState.PENDING), *history)
