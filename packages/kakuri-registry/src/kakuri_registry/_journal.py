"""The journal of a registry: its latest events, each published once a crash would not undo it.

A store does not save changes in the order in which they were made: changes that a caller awaits
come first, and failed ones are retried. So an event is published once it is stored and all events
with a smaller index are stored or withdrawn. A reader that has all events up to an index therefore
never misses one by continuing after it, and everything it has read is still true after a crash.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Collection, Iterable
from itertools import islice

from kakuri_registry._arguments import check_count
from kakuri_registry._errors import Compacted
from kakuri_registry._events import RegistryEvent, event_index, event_size

MAX_EVENTS = 10_000
"""Maximum number of published events kept, and of events that wait to be stored."""

MAX_EVENT_BYTES = 8 << 20
"""Maximum total size of published events; the maximum number of ordinary ones takes two thirds of
it."""

MAX_EVENT_AGE = 86_400.0
"""Seconds for which an event is kept; older events are dropped when another one is published."""

COMPACTION_EVENTS = 1_000
"""Number of dropped events after which they are deleted from the store, so that few writes have to
delete rows."""


class EventJournal:
    """The latest events of a registry, in the order of their indexes.

    Args:
        events: The stored events, in the order of their indexes.
        compacted: The index up to which events are no longer stored.
        index: The registry's version before the next event.
        max_events: Maximum number of published events kept, and of events that wait to be stored;
            by default MAX_EVENTS.
    """

    def __init__(
        self,
        events: Iterable[RegistryEvent] = (),
        *,
        compacted: int = 0,
        index: int = 0,
        max_events: int | None = None,
    ) -> None:
        self._max_events = MAX_EVENTS if max_events is None else max_events
        check_count(self._max_events, "max_events")
        self._published: deque[RegistryEvent] = deque()
        self._sizes: deque[int] = deque()  # of the published events
        self._bytes = 0
        self._waiting: dict[int, RegistryEvent] = {}  # by index, in that order
        self._stored: set[int] = set()  # those that only wait for an earlier one
        self._registered: dict[str, int] = {}  # index of a registration that is not stored
        self._on_publish: Callable[[], None] | None = None
        self._dropped = 0  # events dropped since the store was compacted
        self._is_incomplete = False  # the store has events before one that it will never have
        self._compacted = compacted
        for event in events:
            self._publish(event)
        self._index = index

    @property
    def index(self) -> int:
        """The current index, to continue from: every event up to it was published or dropped."""
        return next(iter(self._waiting)) - 1 if self._waiting else self._index

    @property
    def compacted(self) -> int:
        """The smallest index to continue from; events up to it are no longer kept."""
        return self._compacted

    @property
    def compaction(self) -> int | None:
        """The index up to which the store should delete events; None if deleting can wait."""
        is_due = self._is_incomplete or self._dropped >= COMPACTION_EVENTS
        return self._compacted if is_due else None

    @property
    def must_compact(self) -> bool:
        """Whether the store has to delete events before it stores more."""
        return self._is_incomplete

    def subscribe(self, on_publish: Callable[[], None] | None) -> None:
        """Call a function whenever events have been published; replaces the previous subscriber."""
        self._on_publish = on_publish

    def advance(self, index: int) -> None:
        """Record the registry's version after a change that is not an event."""
        self._index = index

    def append(self, event: RegistryEvent, *, is_new: bool = False) -> None:
        """Add an event that is not stored yet.

        If too many events wait to be stored, because the disk has accepted nothing for a long time,
        the oldest one and all events before it are dropped, so that readers get Compacted instead
        of a gap.
        """
        self._index = event.index
        self._waiting[event.index] = event
        if is_new and event.id is not None:
            self._registered[event.id] = event.index
        if len(self._waiting) > self._max_events:
            self._compacted = next(iter(self._waiting))
            self._forget(self._compacted)
            self._published.clear()
            self._sizes.clear()
            self._bytes = 0
            self._is_incomplete = True

    def add_stored(self, event: RegistryEvent) -> None:
        """Add an event that is already stored; it is published unless it waits for earlier ones."""
        if self._waiting:
            self.append(event)
            self.stored((event,))
            return
        self._index = event.index
        self._publish(event)
        if self._on_publish is not None:
            self._on_publish()

    def unstored(self, workload_ids: Collection[str]) -> dict[str, tuple[RegistryEvent, ...]]:
        """Return the events to store with changes of workloads; the key "" is the node."""
        found: dict[str, list[RegistryEvent]] = {}
        for event in self._waiting.values():
            key = event.id or ""
            if key in workload_ids and event.index not in self._stored:
                found.setdefault(key, []).append(event)
        return {key: tuple(events) for key, events in found.items()}

    def stored(self, events: Iterable[RegistryEvent]) -> None:
        """Publish events that were stored, and those that waited for them."""
        waiting, stored = self._waiting, self._stored
        for event in events:
            if event.index in waiting:
                stored.add(event.index)
        ready: list[RegistryEvent] = []
        for index, event in waiting.items():
            if index not in stored:
                break
            ready.append(event)
        for event in ready:
            self._publish(event)
            self._forget(event.index)
        if ready and self._on_publish is not None:
            self._on_publish()

    def withdraw(self, workload_id: str) -> None:
        """Drop the events of a workload whose registration the store refused."""
        first = self._registered.get(workload_id)
        if first is None:
            return
        for event in list(self._waiting.values()):
            if event.id == workload_id and event.index >= first:
                self._forget(event.index)
        self.stored(())  # others may have waited for these

    def compacted_store(self, index: int) -> None:
        """Record that the store has deleted all events up to an index."""
        self._dropped = 0
        self._is_incomplete = index < self._compacted and self._is_incomplete

    def after(self, index: int, limit: int) -> list[RegistryEvent]:
        """Return at most `limit` published events after an index, oldest first.

        Raises:
            Compacted: Some of them are no longer kept, or the index is in the future.
        """
        if not self._compacted <= index <= self._index:
            raise Compacted(index, self._compacted, self.index)
        published = self._published
        if not published or published[-1].index <= index:
            return []
        begin = bisect_right(published, index, key=event_index)
        return list(islice(published, begin, begin + limit))

    def _publish(self, event: RegistryEvent) -> None:
        published = self._published
        published.append(event)
        size = event_size(event)
        self._sizes.append(size)
        self._bytes += size
        while published and (
            len(published) > self._max_events
            or self._bytes > MAX_EVENT_BYTES
            or published[0].at < event.at - MAX_EVENT_AGE
        ):
            dropped = published.popleft()
            self._bytes -= self._sizes.popleft()
            self._compacted = dropped.index
            self._dropped += 1

    def _forget(self, index: int) -> None:
        """Remove an event from the waiting ones."""
        event = self._waiting.pop(index)
        self._stored.discard(index)
        if event.id is not None and self._registered.get(event.id) == index:
            del self._registered[event.id]

    def __len__(self) -> int:
        return len(self._published)

    def __repr__(self) -> str:
        return f"<EventJournal {len(self)} events, {len(self._waiting)} waiting>"
