"""Writes events together with the changes that caused them."""

from kakuri_registry._backlog import Batch
from kakuri_registry._change import Change
from kakuri_registry._errors import StoreError
from kakuri_registry._events import RegistryEvent
from kakuri_registry._journal import EventJournal
from kakuri_registry._publisher import Persistence
from kakuri_registry._registry import WorkloadRegistry
from kakuri_registry._store import Store


class JournalWriter:
    """Adds events to changes before they are written, and deletes old events from the store."""

    def __init__(self, store: Store, journal: EventJournal) -> None:
        self._store = store
        self._journal = journal
        self._events: list[RegistryEvent] = []  # of the changes being written
        self._compaction: int | None = None
        self._must_compact = False
        self._compacted: int | None = None

    def write_through(self, registry: WorkloadRegistry) -> bool:
        """Write each change immediately, if the store never blocks and so needs no batches.

        Returns:
            Whether changes are written immediately.
        """
        if not self._store.is_nonblocking:
            return False
        keeps_all = self._store.keeps_workloads
        persistence = Persistence.IMMEDIATE if keeps_all else Persistence.REMOVALS
        registry.subscribe(self._write, persistence=persistence)
        return True

    def with_events(self, batch: Batch) -> list[Change]:
        """Return the changes of a batch with all events that are not stored yet.

        Most changes already have their only event. The journal is only searched for the events of
        superseded changes, or for all events if it had to drop unstored ones.
        """
        self._compaction = self._journal.compaction
        self._must_compact = self._journal.must_compact
        changes = [each.change for each in batch.values()]
        merged = {
            workload_id
            for workload_id, each in batch.items()
            if each.is_merged or self._must_compact
        }
        if merged:
            unstored = self._journal.unstored(merged)
            changes = [
                each._replace(events=unstored.get(each.workload_id, ()))
                if each.workload_id in merged
                else each
                for each in changes
            ]
        self._events = [event for each in changes for event in each.events]
        return changes

    def compact(self) -> None:
        """Delete old events from the store; called on the writer's thread.

        Raises:
            StoreError: The store failed, and the journal may not keep more events.
        """
        self._compacted = None
        if self._compaction is None:
            return
        try:
            self._store.compact(self._compaction)
            self._compacted = self._compaction
        except StoreError:
            if self._must_compact:
                raise

    def publish(self) -> None:
        """Publish the events of the changes, which are now stored."""
        if self._compacted is not None:
            self._journal.compacted_store(self._compacted)
        self._journal.stored(self._events)

    def _write(self, change: Change) -> None:
        self._store.write((change,))
        if (compaction := self._journal.compaction) is not None:
            self._store.compact(compaction)
            self._journal.compacted_store(compaction)
