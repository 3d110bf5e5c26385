"""What clients asked and were told, and whether that can be true of one agent that never died.

The model: a workload's states are ordered by (attempt, state), and nobody sees that order go back
unless the workload was removed and submitted again in between. What was acknowledged stays.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise

from kakuri_rpc import ErrorCode, ErrorReply, Request, State, Status
from kakuri_workload import TRANSITIONS, DesiredState, WorkloadState

RANK = {State.PENDING: 0, State.RUNNING: 1, State.SUCCEEDED: 2, State.FAILED: 2}


class Violation(AssertionError):
    """A promise was broken."""


@dataclass
class Ask:
    """A request for one workload. `end` is when it was answered, or when its agent was killed."""

    kind: str
    id: str
    begin: int
    gen: str | None = None  # of a start: which specification
    end: int | None = None
    reply: Status | ErrorReply | None = None  # None: nobody knows whether it was carried out
    is_acknowledged: bool = False
    is_told_of_none: bool = False
    key: tuple[int, int] | None = None  # how far the workload had come

    def answered(self, at: int, reply) -> None:
        self.end, self.reply = at, reply
        self.is_acknowledged = isinstance(reply, Status)
        self.is_told_of_none = isinstance(reply, ErrorReply) and reply.code is ErrorCode.NOT_FOUND
        if self.is_acknowledged:
            self.key = reply.attempt, RANK[reply.state]


@dataclass
class ClientHistory:
    asks: dict[str, list[Ask]] = field(default_factory=lambda: defaultdict(list))
    now: int = 0

    def tick(self):
        self.now += 1
        return self.now

    def begin(self, request: Request, workload_id: str, gen: str | None = None) -> Ask:
        ask = Ask(type(request).__name__, workload_id, self.tick(), gen)
        self.asks[workload_id].append(ask)
        return ask

    def end(self, ask: Ask, reply: Status | ErrorReply | None) -> None:
        ask.answered(self.tick(), reply)

    # What the registry must know after a crash.

    def check_registry(self, registry) -> None:
        """Compare acknowledgements with what an agent knows that has just begun, or has settled."""
        for workload_id, asks in self.asks.items():
            self._check_entry(workload_id, asks, registry.get(workload_id))
        for entry in registry:
            _check_transitions(entry, registry.history(entry.workload.id))

    def _check_entry(self, workload_id, asks, entry):
        acknowledged = [ask for ask in asks if ask.is_acknowledged]
        starts = [ask for ask in acknowledged if ask.kind == "StartWorkload"]
        for start in starts:
            if _none_since(asks, start, "RemoveWorkload"):
                if entry is None or entry.workload.labels["gen"] != start.gen:
                    raise Violation(
                        f"{workload_id} was acknowledged ({start}) and is lost: {entry}"
                    )
                if entry.desired is DesiredState.REMOVE:
                    raise Violation(f"{workload_id} is to be removed, and nobody asked for that")
        for ask in asks:
            is_gone = ask.is_acknowledged or ask.is_told_of_none
            if (
                ask.kind == "RemoveWorkload"
                and is_gone
                and _none_since(asks, ask, "StartWorkload")
                and entry is not None
                and entry.desired is not DesiredState.REMOVE
            ):
                raise Violation(f"{workload_id} was removed ({ask}) and is back: {entry}")
        removals = [ask.end or self.now for ask in asks if ask.kind == "RemoveWorkload"]
        since = min(  # nothing of an earlier workload of that name is told any more
            (start.begin for start in starts if start.begin > max(removals, default=0)),
            default=self.now if removals else 0,
        )
        for ask in acknowledged:
            if ask.begin < since:
                continue
            if entry is None:
                raise Violation(f"{workload_id} was told of ({ask}) and is lost")
            if ask.kind == "StopWorkload" and not (
                entry.desired is DesiredState.STOP or entry.state.is_terminal
            ):
                raise Violation(f"{workload_id} was stopped ({ask}) and goes on: {entry}")
            known = entry.attempt, RANK[State.of(entry.state)]
            if known < ask.key:
                raise Violation(f"{workload_id} was told to be at {ask.key} and is at {known}")

    # What clients may have seen.

    def check_answers(self) -> None:
        """Check that no client saw anything go backwards."""
        for workload_id, asks in self.asks.items():
            seen = [ask for ask in asks if ask.is_acknowledged or ask.is_told_of_none]
            seen = [ask for ask in seen if ask.kind != "RemoveWorkload" or ask.is_acknowledged]
            for before in seen:
                for after in seen:
                    if before.end < after.begin and not _may_follow(asks, before, after):
                        raise Violation(f"{workload_id}: after {before} came {after}")


def _may_follow(asks, before, after):
    if before.is_told_of_none:
        return after.is_told_of_none or _any_between(asks, before, after, "StartWorkload")
    if not after.is_told_of_none:
        is_new = after.kind == "StartWorkload" and not after.reply.existing
        is_same = before.key == after.key and before.reply.state is after.reply.state
        if (is_same or before.key < after.key) and not is_new:
            return True
    is_removed = any(ask.kind == "RemoveWorkload" and ask.begin < after.end for ask in asks)
    if after.is_told_of_none:
        return is_removed
    return is_removed and _any_between(asks, before, after, "StartWorkload")


def _any_between(asks, before, after, kind):
    """Whether something may have been carried out behind one answer and before the other."""
    return any(
        ask.kind == kind and ask.begin < after.end and (ask.end is None or ask.end > before.begin)
        for ask in asks
    )


def _none_since(asks, since, kind):
    """Whether nothing of a kind can have been carried out after a request."""
    return not any(
        ask.kind == kind and ask is not since and (ask.end is None or ask.end >= since.begin)
        for ask in asks
    )


def _check_transitions(entry, history):
    for before, after in pairwise(history):
        is_next = after.attempt == before.attempt and (
            after.state in TRANSITIONS[before.state]
            or (after.state is before.state and not after.state.is_terminal)  # told more
        )
        is_restart = after.attempt == before.attempt + 1 and (
            after.state is WorkloadState.PENDING and not before.state.is_terminal
        )
        # Of attempts that went the same way only the last one is there, with their count.
        skipped = after.attempt - before.attempt
        is_folded = any(
            step.count == skipped + step.attempt - after.attempt
            for step in history
            if step.count > 1 and step.attempt in (after.attempt, after.attempt + 1)
        )
        if not (is_next or is_restart or (skipped > 0 and is_folded)):
            raise Violation(f"{entry.workload.id}: {before} became {after}")
    if (history[-1].state, history[-1].attempt) != (entry.state, entry.attempt):
        raise Violation(f"{entry.workload.id}: {entry} does not end its history {history}")
