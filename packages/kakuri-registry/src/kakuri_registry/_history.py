"""What a workload has been through."""

from dataclasses import dataclass, replace
from typing import TypeAlias

from kakuri_workload import WorkloadState

from kakuri_registry._entry import WorkloadEntry

MAX_HISTORY = 16
"""The transitions that are kept of a workload: two or three runs of one that crashes."""

MAX_HISTORY_MESSAGE = 256
"""Characters of a message that history keeps; the entry has the whole of the latest."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One step of a workload: the state it came to, when, and why.

    The same state with another reason is a step of its own, and so is each attempt. `count` is the
    number of attempts in a row that ended in this step after the same steps. Only the steps of the
    last of them are kept, so that a crash loop does not push out earlier history.
    """

    at: float
    state: WorkloadState
    attempt: int = 0
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None
    count: int = 1


History: TypeAlias = tuple[Transition, ...]
"""Transitions, the oldest first. As it is kept it lacks the first, which the entry tells too."""


def extended(history: History, before: WorkloadEntry, after: WorkloadEntry) -> History:
    """Give the history of a workload that has changed, as it is kept."""
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
    step = Transition(after.changed_at, run.state, run.attempt, run.reason, message, run.exit_code)
    if run.attempt > earlier.attempt:
        history, step = _folded(history, step, earlier.attempt)
    return (*history, step) if len(history) < MAX_HISTORY else (*history[1:], step)


def _folded(history: History, step: Transition, attempt: int) -> tuple[History, Transition]:
    """Drop the attempt before the last one if both had the same steps; `step` ends the last one."""
    last = [each for each in history if each.attempt == attempt]
    if attempt == 0 or not last or last[0].reason != step.reason:
        return history, step  # the first attempt, or one whose beginning was dropped
    ended_before, last = last[0], last[1:]  # an attempt begins with the end of the one before it
    start = len(history) - len(last) - 1
    begin = start
    while begin and history[begin - 1].attempt == attempt - 1:
        begin -= 1
    before = list(history[begin:start])
    if attempt > 1 and before and before[0].reason == step.reason:
        before, begin = before[1:], begin + 1
    if _signature([*before, ended_before]) != _signature([*last, step]):
        return history, step
    return (*history[:begin], *last), replace(step, count=ended_before.count + 1)


def _signature(steps: list[Transition]) -> list[tuple[object, ...]]:
    return [(step.state, step.reason, step.exit_code) for step in steps]


def complete(history: History, entry: WorkloadEntry) -> History:
    """Give a history that begins with the registration, unless that is too long ago."""
    if len(history) == MAX_HISTORY:
        return history
    return (Transition(entry.registered_at, WorkloadState.PENDING), *history)
