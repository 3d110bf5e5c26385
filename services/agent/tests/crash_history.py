"""The requests of clients and their replies, and whether an agent that never died could give them.

The model: a workload's states are ordered by (attempt, state), and no client observes an earlier
state after a later one unless the workload was removed and submitted again in between. Whatever was
acknowledged remains.
"""

import math
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from kakuri_rpc import Desired, ErrorCode, ErrorReply, Request, State, Status
from kakuri_workload import TRANSITIONS, DesiredState, Event, WorkloadState

RANK = {State.PENDING: 0, State.RUNNING: 1, State.SUCCEEDED: 2, State.FAILED: 2}

MAX_EVENTS = 100_000
"""More than the events of any scenario."""


class Violation(AssertionError):
    """The agent violated a guarantee."""


@dataclass
class Call:
    """A request for one workload. `end` is when it was answered, or when the agent was killed."""

    kind: str
    id: str
    begin: int
    gen: str | None = None  # of a start: identifies the specification
    end: int | None = None
    reply: Status | ErrorReply | None = None  # None: unknown whether it was carried out
    is_acknowledged: bool = False
    is_not_found: bool = False
    key: tuple[int, int] | None = None  # how far the workload had come

    def answered(self, at: int, reply) -> None:
        self.end, self.reply = at, reply
        self.is_acknowledged = isinstance(reply, Status)
        self.is_not_found = isinstance(reply, ErrorReply) and reply.code is ErrorCode.NOT_FOUND
        if self.is_acknowledged:
            self.key = reply.attempt, RANK[reply.state]


@dataclass
class ClientHistory:
    calls: dict[str, list[Call]] = field(default_factory=lambda: defaultdict(list))
    events: list[Event] = field(default_factory=list)
    events_after: int = 0  # the index after which they were read
    now: int = 0
    tombstones_since: float = 0
    """Removals that were requested earlier may have no tombstone, because the disk was full."""

    def tick(self):
        self.now += 1
        return self.now

    def begin(self, request: Request, workload_id: str, gen: str | None = None) -> Call:
        call = Call(type(request).__name__, workload_id, self.tick(), gen)
        self.calls[workload_id].append(call)
        return call

    def end(self, call: Call, reply: Status | ErrorReply | None) -> None:
        call.answered(self.tick(), reply)

    def follow(self, journal) -> None:
        """Read the events that an agent has published since the last time.

        When the clock is set, events may be too old to be kept; the reader then begins anew.
        """
        last = self.events[-1].index if self.events else 0
        if journal.compacted > last:
            self.events.clear()
            self.events_after = last = journal.compacted
        self.events += journal.after(last, MAX_EVENTS)

    # What the registry must have after a crash.

    def check_events(self, journal) -> None:
        """Compare the events that were read with the journal of an agent that has just started.

        They are its beginning: no event that was read is undone, none came twice, and none came
        before others that were read.
        """
        after = max(self.events_after, journal.compacted)
        read = [event for event in self.events if event.index > after]
        kept = journal.after(after, MAX_EVENTS)
        if kept[: len(read)] != read:
            raise Violation(f"the events {read[-20:]} were read, the journal has {kept[-20:]}")

    def check_registry(self, registry) -> None:
        """Compare acknowledgements with the registry of an agent that has started or converged."""
        for workload_id, calls in self.calls.items():
            self._check_entry(workload_id, calls, registry)
        for entry in registry:
            _check_transitions(entry, registry.history(entry.workload.id))

    def _check_entry(self, workload_id, calls, registry):
        entry = registry.get(workload_id)
        is_kept = entry is not None and entry.desired is not DesiredState.REMOVE
        acknowledged = [call for call in calls if call.is_acknowledged]
        starts = [call for call in acknowledged if call.kind == "StartWorkload"]
        removals = [call for call in calls if call.kind == "RemoveWorkload"]
        for start in starts:
            if _none_since(calls, start, "RemoveWorkload"):
                if entry is None or entry.workload.labels["gen"] != start.gen:
                    raise Violation(
                        f"{workload_id} was acknowledged ({start}) and is lost: {entry}"
                    )
                if not is_kept:
                    raise Violation(f"{workload_id} is to be removed without a request")
        for removal in removals:
            if not _none_since(calls, removal, "StartWorkload"):
                continue
            if is_kept and (removal.is_acknowledged or removal.is_not_found):
                raise Violation(f"{workload_id} was removed ({removal}) and is back: {entry}")
            expects_tombstone = removal.begin >= self.tombstones_since
            if entry is None and removal.is_acknowledged and expects_tombstone:
                _check_tombstone(removal, registry.tombstone(workload_id))
        # Replies about an earlier workload of the same id do not count. A call that began before
        # the start was answered may have got one: the start waits until the removal is on disk.
        since = 0
        if removals:
            removed_at = max(removal.end or self.now for removal in removals)
            since = min((each.end for each in starts if each.begin > removed_at), default=self.now)
        for call in acknowledged:
            if call.begin >= since:
                if entry is None:
                    raise Violation(f"{workload_id} was reported ({call}) and is lost")
                _check_reply(call, calls, entry)

    # What clients may have observed.

    def check_answers(self) -> None:
        """Check that no client observed an earlier state after a later one."""
        for workload_id, calls in self.calls.items():
            seen = [call for call in calls if call.is_acknowledged or call.is_not_found]
            seen = [call for call in seen if call.kind != "RemoveWorkload" or call.is_acknowledged]
            starts = Starts([call for call in calls if call.kind == "StartWorkload"])
            removals = (call.begin for call in calls if call.kind == "RemoveWorkload")
            removed_from = min(removals, default=math.inf)
            for before in seen:
                for after in seen:
                    if before.end < after.begin and not _may_follow(
                        starts, removed_from, before, after
                    ):
                        raise Violation(f"{workload_id}: after {before} came {after}")


def _may_begin_later(call):
    """Whether the attempt of a restarted workload had not begun, so that its number may stay."""
    return call.reply.state is State.PENDING


def _may_follow(starts, removed_from, before, after):
    if before.is_not_found:
        return after.is_not_found or starts.any_between(before, after)
    if not after.is_not_found:
        is_new = after.kind == "StartWorkload" and not after.reply.existing
        is_same = before.key == after.key and before.reply.state is after.reply.state
        if (is_same or before.key < after.key) and not is_new:
            return True
    is_removed = removed_from < after.end
    if after.is_not_found:
        return is_removed
    return is_removed and starts.any_between(before, after)


class Starts:
    """The starts of one workload, for finding those between two replies."""

    def __init__(self, calls: list[Call]) -> None:
        """Index the calls, which are in the order in which they began."""
        ends = (math.inf if call.end is None else call.end for call in calls)
        self._begins = [call.begin for call in calls]
        self._last_ends = list(accumulate(ends, max))

    def any_between(self, before: Call, after: Call) -> bool:
        """Whether one may have been carried out after one reply and before another."""
        begun = bisect_left(self._begins, after.end)
        return begun > 0 and self._last_ends[begun - 1] > before.begin


def _none_since(calls, since, kind):
    """Whether no request of a kind can have been carried out after a request."""
    return not any(
        call.kind == kind and call is not since and (call.end is None or call.end >= since.begin)
        for call in calls
    )


def _check_reply(call, calls, entry):
    """Check that an acknowledged request and the reported progress were not lost."""
    known = entry.attempt, RANK[State.of(entry.state)]
    if known < call.key:
        raise Violation(f"{call.id} was reported at {call.key} and is at {known}")
    if entry.state.is_terminal or entry.desired is DesiredState.REMOVE:
        return
    if (
        call.kind == "StopWorkload"
        and _none_since(calls, call, "RerunWorkload")
        and _none_since(calls, call, "RestartWorkload")
        and entry.desired is not DesiredState.STOP
    ):
        raise Violation(f"{call.id} was stopped ({call}) and is still to run: {entry}")
    if (
        call.reply.desired is Desired.RESTARTED
        and _none_since(calls, call, "StopWorkload")
        and entry.desired is not DesiredState.RESTART
        and entry.attempt == call.reply.attempt
        and not _may_begin_later(call)
    ):
        raise Violation(f"{call.id} was restarted ({call}) and runs on: {entry}")


def _check_tombstone(removal, tombstone):
    """Check that a removed workload left a tombstone, with at least the reported progress."""
    if tombstone is None:
        raise Violation(f"{removal.id} was removed ({removal}) without a tombstone")
    last = tombstone.entry
    if not last.state.is_terminal or (last.attempt, RANK[State.of(last.state)]) < removal.key:
        raise Violation(f"{removal.id} was removed ({removal}) and its tombstone has {last}")


def _check_transitions(entry, history):
    # Steps after the registration may have been pushed out by others that were folded later.
    is_registration = history[0].at == entry.registered_at and history[0].reason is None
    for before, after in pairwise(history[is_registration:]):
        is_next = after.attempt == before.attempt and (
            after.state in TRANSITIONS[before.state]
            or (after.state is before.state and not after.state.is_terminal)  # another reason
        )
        is_restart = after.attempt == before.attempt + 1 and (
            after.state is WorkloadState.PENDING
            and (not before.state.is_terminal or after.reason == "Restarted")
        )
        # Of attempts with the same steps, only the last one is kept, with their count.
        skipped = after.attempt - before.attempt
        is_folded = any(
            step.count == skipped + step.attempt - after.attempt
            for step in history
            if step.count > 1 and step.attempt in (after.attempt, after.attempt + 1)
        )
        if not (is_next or is_restart or (skipped > 0 and is_folded)):
            raise Violation(f"{entry.workload.id}: {before} became {after} in {history}")
    if (history[-1].state, history[-1].attempt) != (entry.state, entry.attempt):
        raise Violation(f"{entry.workload.id}: {entry} does not end its history {history}")
