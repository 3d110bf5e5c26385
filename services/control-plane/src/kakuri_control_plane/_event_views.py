"""Events in the two encodings of a stream: lines of JSON, and server-sent events."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from kakuri_json import encode
from kakuri_rpc import Desired, State, Status, StoreId
from kakuri_workload import Event, EventType, Removal, TraceId, WorkloadState, fast_init

from kakuri_control_plane._views import DESIRED, DesiredName, Time, date_time

RETRY = b"retry: 1000\n\n"
"""The first piece of a server-sent stream: browsers reconnect after a second."""

HEARTBEAT_COMMENT = b": heartbeat\n\n"


EventTypeName = Literal["state", "workload", "desired", "removed", "runtime", "node"]
_TYPE_NAMES: dict[EventType, EventTypeName] = {
    EventType.WORKLOAD: "workload",
    EventType.DESIRED: "desired",
    EventType.REMOVED: "removed",
    EventType.RUNTIME: "runtime",
    EventType.NODE: "node",
}


@dataclass(slots=True)  # not frozen: it is used once
class EventView:
    """An event, or with the type `state` the current state of a workload.

    Attributes:
        index: Its index, after which a stream can continue; of a state, the workload's version.
        at: When it happened.
        type: What it is about.
        id: The workload.
        state: The state of the workload afterwards.
        reason: Why it has this state, as a short code.
        message: An explanation for people.
        exit_code: The exit code of a run that has ended.
        attempt: The number of restarts so far.
        desired: What was requested of the workload.
        removal: What was removed, and how that was checked.
        available: Whether the container runtime is available.
        version: The version of the agent that started.
        trace: The trace of the latest request that changed the workload's desired state.
    """

    __json__: ClassVar = {"omit_defaults": True}

    index: int
    at: Time
    type: EventTypeName
    id: str | None = None
    state: WorkloadState | None = None
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None
    attempt: int = 0
    desired: DesiredName | None = None
    removal: Removal | None = None
    available: bool | None = None
    version: str | None = None
    trace: TraceId | None = None


@dataclass(frozen=True, slots=True)
class Synced:
    """All states have been sent; changes follow.

    Attributes:
        type: The kind of line.
        index: The index after which changes follow.
        store_id: The id of the store that issued the index.
    """

    __json__: ClassVar = {"omit_defaults": True}

    type: Literal["synced"]
    index: int
    store_id: StoreId | None = None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The stream is alive.

    Attributes:
        index: The current index.
        type: The kind of line.
        store_id: The id of the store that issued the index.
    """

    __json__: ClassVar = {"omit_defaults": True}

    index: int
    type: Literal["heartbeat"]
    store_id: StoreId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamGap:
    """The last line of a stream that can't continue: events are missing, so list again.

    Attributes:
        type: The kind of line.
        oldest: The smallest index that events can be read after.
    """

    type: Literal["gap"] = "gap"
    oldest: int


@fast_init
@dataclass(frozen=True, slots=True)
class StreamEvent:
    """An encoded event, with what filters compare.

    Attributes:
        index: Its index.
        kind: Its type.
        workload_id: The workload.
        labels: The labels of the workload.
        line: The line of JSON with its line feed.
    """

    index: int
    kind: str
    workload_id: str | None
    labels: Mapping[str, str]
    line: bytes

    @property
    def server_sent(self) -> bytes:
        """The same as a server-sent event; the JSON has no line feed of its own.

        A state has no id, so that a browser that is disconnected before `synced` starts over.
        """
        number = b"" if self.kind == "state" else b"id: %d\n" % self.index
        return b"%bevent: %b\ndata: %b\n" % (number, self.kind.encode(), self.line)


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events a stream has; a field that is not set admits all.

    Attributes:
        workload_id: Only events about this workload.
        label: Only events about workloads with this label, a key and a value.
        kinds: Only events of these types.
    """

    workload_id: str | None = None
    label: tuple[str, str] | None = None
    kinds: frozenset[str] = field(default_factory=frozenset)

    def __bool__(self) -> bool:
        return bool(self.workload_id or self.label or self.kinds)

    def admits(self, event: StreamEvent) -> bool:
        """Return whether a stream has an event."""
        return (
            (self.workload_id is None or event.workload_id == self.workload_id)
            and (self.label is None or event.labels.get(self.label[0]) == self.label[1])
            and (not self.kinds or event.kind in self.kinds)
        )


def encoded_event(event: Event[State, Desired]) -> StreamEvent:
    """Return an event of the agent, encoded."""
    state = event.state
    view = EventView(
        event.index,
        date_time(event.at),
        _TYPE_NAMES[event.type],
        event.id,
        None if state is None else state.workload_state,
        event.reason,
        event.message,
        event.exit_code,
        event.attempt,
        DESIRED[event.desired],
        event.removal,
        event.available,
        event.version,
        event.trace,
    )
    return StreamEvent(event.index, view.type, event.id, event.labels, encode(view) + b"\n")


def encoded_state(status: Status) -> StreamEvent:
    """Return the current state of a workload, encoded as an event of the type `state`.

    Args:
        status: Its status with all details.
    """
    workload = status.workload
    view = EventView(
        status.version or 0,
        date_time(status.changed_at or 0.0),
        "state",
        status.id,
        status.state.workload_state,
        status.reason,
        status.message,
        status.exit_code,
        status.attempt,
        DESIRED[status.desired],
    )
    labels = {} if workload is None else workload.labels
    return StreamEvent(view.index, view.type, status.id, labels, encode(view) + b"\n")


def synced_line(index: int, store_id: str | None) -> bytes:
    """Return the line after the current states."""
    return encode(Synced("synced", index, store_id)) + b"\n"


def heartbeat_line(index: int, store_id: str | None) -> bytes:
    """Return the line that shows that a stream is alive."""
    return encode(Heartbeat(index, "heartbeat", store_id)) + b"\n"


def gap_line(oldest: int) -> bytes:
    """Return the last line of a stream that can't continue without a gap."""
    return encode(StreamGap(oldest=oldest)) + b"\n"
