"""The journal: events, their order, and when each is published."""

from dataclasses import replace
from operator import attrgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kakuri_registry import (
    MAX_EVENT_BYTES,
    Compacted,
    EventJournal,
    Loaded,
    WorkloadRegistry,
    _journal,
)
from kakuri_registry._cells import BadRow
from kakuri_registry._event_rows import MAX_ROW_TEXT, event_rows, read_events
from kakuri_registry._events import event_size
from kakuri_registry._journal import COMPACTION_EVENTS, MAX_EVENT_AGE
from kakuri_registry._rows import MAX_VERSION
from kakuri_workload import DesiredState, Event, EventType, Removal, Run, WorkloadState
from kakuri_workload.testing import workload

PENDING, RUNNING, FAILED = WorkloadState.PENDING, WorkloadState.RUNNING, WorkloadState.FAILED
TEXT = st.none() | st.text(max_size=5) | st.sampled_from(["", "\n", "\\", "=", "\0"])


def event(index: int, workload_id: str | None = "a", at: float = 0.0, **fields: object) -> Event:
    return Event(index, at, EventType.WORKLOAD, workload_id, PENDING, **fields)


def indexes(journal: EventJournal, after: int = 0) -> list[int]:
    return [each.index for each in journal.after(after, 1000)]


def journal_of(*events: Event, **arguments: int) -> EventJournal:
    """Return a journal with events that wait to be stored."""
    journal = EventJournal(**arguments)
    for each in events:
        journal.append(each)
    return journal


def test_registry_records_an_event_for_each_transition_request_and_removal():
    registry = WorkloadRegistry()
    registry.register(workload("a", labels={"team": "red"}), now=1.0)
    registry.update("a", Run(PENDING, "Pulling", "m" * 300), now=2.0)
    registry.update("a", Run(PENDING, "Pulling", "another message"), now=3.0)
    registry.update("a", Run(RUNNING, address="10.0.0.2"), now=4.0)
    registry.restart("a", now=5.0, restart_at=9.0, reason="BackOff", exit_code=3)
    registry.set_desired("a", DesiredState.STOP, now=6.0, grace_seconds=9)
    registry.set_desired("a", DesiredState.STOP, now=7.0, grace_seconds=5)
    registry.update("a", Run(FAILED, "Stopped"), now=8.0)
    registry.set_desired("a", DesiredState.REMOVE, now=9.0)
    receipt = Removal("5f0c", "9a3e", 0, "list")
    registry.remove("a", now=10.0, removal=receipt)
    found = registry.journal.after(0, 100)
    assert [(each.index, each.at, each.type.value, each.state, each.reason) for each in found] == [
        (1, 1.0, "workload", PENDING, None),
        (2, 2.0, "workload", PENDING, "Pulling"),
        (4, 4.0, "workload", RUNNING, None),
        (5, 5.0, "workload", PENDING, "BackOff"),
        (6, 6.0, "desired", PENDING, "BackOff"),
        (8, 8.0, "workload", FAILED, "Stopped"),
        (9, 9.0, "desired", FAILED, "Stopped"),
        (10, 10.0, "removed", FAILED, "Stopped"),
    ]
    stop, remove = DesiredState.STOP, DesiredState.REMOVE
    assert [each.desired for each in found] == [None] * 4 + [stop, stop, remove, None]
    assert [each.removal for each in found] == [None] * 7 + [receipt]
    assert found[1].message == "m" * 255 + "…"
    assert (found[3].exit_code, found[3].attempt) == (3, 1)
    assert {each.id for each in found} == {"a"}
    assert {each.labels["team"] for each in found} == {"red"}
    assert registry.journal.index == registry.version == 10


def test_removal_without_a_time_has_that_of_the_last_change():
    registry = WorkloadRegistry()
    registry.register(workload("a"), now=1.0)
    registry.remove("a")
    assert registry.journal.after(1, 1)[0].at == 1.0


def test_registry_records_events_of_the_node_and_a_store_gets_them_as_changes():
    registry, changes = WorkloadRegistry(), []
    registry.subscribe(changes.append)
    started = registry.record(EventType.NODE, now=1.0, version="0.2.0")
    lost = registry.record(EventType.RUNTIME, now=2.0, available=False, message="m" * 999)
    assert (started.index, started.version, started.id) == (1, "0.2.0", None)
    assert (lost.available, lost.message) == (False, "m" * 255 + "…")
    assert [(each.workload_id, each.entry, each.events) for each in changes] == [
        ("", None, (started,)),
        ("", None, (lost,)),
    ]


def test_event_is_published_when_all_earlier_ones_are_stored():
    published = []
    events = [event(index) for index in (1, 2, 3)]
    journal = journal_of(*events)
    journal.subscribe(lambda: published.append(indexes(journal)))
    assert (journal.index, indexes(journal)) == (0, [])
    journal.stored([events[2]])
    journal.stored([events[0]])
    assert (journal.index, published) == (1, [[1]])
    journal.stored([events[1]])
    assert (journal.index, published) == (3, [[1], [1, 2, 3]])
    journal.advance(7)  # changes that are no events
    assert journal.index == 7
    journal.append(event(8))
    assert journal.index == 7


def test_event_that_is_stored_already_is_published_at_once_or_after_those_that_are_not():
    published = []
    journal = EventJournal()
    journal.subscribe(lambda: published.append(indexes(journal)))
    journal.add_stored(event(1))
    assert (journal.index, published) == (1, [[1]])
    journal.append(event(2))
    journal.add_stored(event(3))
    assert (journal.index, published) == (1, [[1]])
    journal.stored([event(2)])
    assert (journal.index, published) == (3, [[1], [1, 2, 3]])


def test_event_that_was_stored_before_is_not_offered_again():
    first, second = event(1, "a"), event(2, "b")
    journal = journal_of(first, second, event(3, "a"), event(4, None))
    journal.stored([second])  # it waits for the first one
    assert journal.unstored({"a", "b"}) == {"a": (first, event(3, "a"))}
    assert journal.unstored({""}) == {"": (event(4, None),)}


def test_withdrawn_registration_takes_all_its_events_and_lets_others_pass():
    journal = EventJournal()
    removed = replace(event(1, "a"), type=EventType.REMOVED)
    journal.append(removed)
    journal.append(event(2, "a"), is_new=True)
    journal.append(event(3, "b"), is_new=True)
    journal.append(event(4, "a", reason="Pulling"))
    journal.stored([removed, event(3, "b")])
    assert indexes(journal) == [1]
    journal.withdraw("a")
    assert indexes(journal) == [1, 3]
    journal.withdraw("a")  # has no effect, nor for a registration that is stored
    journal.withdraw("b")
    assert (indexes(journal), journal.index) == ([1, 3], 4)


def test_registry_that_withdraws_a_workload_forgets_its_events():
    registry = WorkloadRegistry()
    registry.subscribe(lambda _change: None)
    registry.register(workload("a"), now=1.0)
    registry.withdraw("a")
    assert ("a" in registry, registry.journal.after(0, 1), registry.journal.index) == (False, [], 2)


def test_reading_from_a_dropped_or_future_index_raises_compacted():
    journal = EventJournal(max_events=2)
    for index in (1, 2, 5):
        journal.append(event(index))
        journal.stored([event(index)])
    assert (journal.compacted, indexes(journal, 1)) == (1, [2, 5])
    assert [indexes(journal, after) for after in (2, 4, 5)] == [[5], [5], []]
    assert [each.index for each in journal.after(1, 1)] == [2]
    with pytest.raises(Compacted, match="expected an index from 1 to 5 to continue from, got 0"):
        journal.after(0, 1)
    with pytest.raises(Compacted) as e:
        journal.after(6, 1)
    assert (e.value.index, e.value.oldest, e.value.newest) == (6, 1, 5)


def test_published_events_are_bounded_in_bytes_and_age():
    journal = EventJournal()
    large = {"labels": {"k": "v" * (1 << 20)}}
    for index in range(1, 11):
        journal.append(event(index, **large))
        journal.stored([event(index, **large)])
    assert len(journal) == (MAX_EVENT_BYTES >> 20) - 1  # each has some bytes more than 1 MiB
    late = event(11, at=MAX_EVENT_AGE + 1)
    journal.append(late)
    journal.stored([late])
    assert indexes(journal, 10) == [11]
    assert (len(journal), journal.compacted) == (1, 10)


def test_journal_with_too_many_waiting_events_drops_the_oldest_and_all_before():
    journal = EventJournal(max_events=3)
    journal.append(event(1))
    journal.stored([event(1)])
    for index in (2, 3, 4):
        journal.append(event(index))
    assert (journal.must_compact, journal.compaction) == (False, None)
    journal.append(event(5))
    assert (journal.must_compact, journal.compaction) == (True, 2)
    assert journal.unstored({"a"}) == {"a": (event(3), event(4), event(5))}
    journal.stored([event(2)])  # a write that was under way
    journal.stored([event(3), event(4)])
    assert indexes(journal, 2) == [3, 4]
    with pytest.raises(Compacted):
        journal.after(1, 1)
    journal.compacted_store(2)
    assert (journal.must_compact, journal.compaction) == (False, None)


def test_store_is_compacted_after_some_dropped_events():
    journal = EventJournal(max_events=1)
    for index in range(1, COMPACTION_EVENTS + 2):
        assert journal.compaction is None
        journal.append(event(index))
        journal.stored([event(index)])
    assert (journal.compaction, journal.must_compact) == (COMPACTION_EVENTS, False)
    journal.compacted_store(COMPACTION_EVENTS)
    assert journal.compaction is None
    assert repr(journal) == "<EventJournal 1 events, 0 waiting>"


def test_loaded_registry_continues_with_the_events_of_the_store():
    loaded = Loaded(version=100, events=[event(7), event(9)], compacted=5)
    journal = WorkloadRegistry.load(loaded).journal
    assert (indexes(journal, 5), journal.index, journal.compacted) == ([7, 9], 100, 5)
    with pytest.raises(Compacted):
        journal.after(4, 1)


EVENTS = st.builds(
    Event,
    index=st.integers(0, MAX_VERSION),
    at=st.floats(0, 1e10),
    type=st.sampled_from(EventType),
    id=st.just("wl-1"),
    state=st.none() | st.sampled_from(WorkloadState),
    reason=TEXT,
    message=TEXT,
    exit_code=st.none() | st.integers(-(2**31), 2**31),
    attempt=st.integers(0, 2**31),
    desired=st.none() | st.sampled_from(DesiredState),
    labels=st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
    available=st.none(),
    version=st.none(),
    removal=st.none() | st.builds(Removal, TEXT, TEXT, st.none() | st.integers(0, 9), TEXT),
)
OF_THE_NODE = TEXT.map(lambda text: Event(1, 2.0, EventType.NODE, version=text)) | (
    st.booleans().map(lambda value: Event(1, 2.0, EventType.RUNTIME, available=value))
)


@given(st.lists(EVENTS, min_size=1, max_size=3) | st.lists(OF_THE_NODE, min_size=1, max_size=3))
def test_any_events_are_read_as_written(events):
    rows = event_rows(events)
    assert [each for _, workload_id, text in rows for each in read_events(workload_id, text)] == (
        sorted(events, key=attrgetter("index"))
    )


def test_events_of_one_write_share_a_row_until_it_is_long():
    text = "m" * (MAX_ROW_TEXT // 2)
    rows = event_rows([event(number, "a", message=text) for number in (5, 3, 4, 9)])
    assert [(index, len(read_events("", text))) for index, _, text in rows] == [
        (3, 1),
        (4, 1),
        (5, 1),
        (9, 1),
    ]
    assert [index for index, _, _ in event_rows(map(event, (5, 3, 4, 9)))] == [9]


def test_event_of_an_earlier_schema_has_the_id_of_its_row():
    ((_, _, text),) = event_rows([event(1, "a")])
    (found,) = read_events("b", text.replace("1 a", "1", 1))
    assert found == event(1, "b")


@pytest.mark.parametrize(
    ("workload_id", "text", "message"),
    [
        ("a", "1\n2", "expected 11 lines for each event in events, got 2"),
        ("a", None, "expected text in events, got None"),
        (5, "", "expected text in id, got 5"),
        ("a", b"\xff", "expected text in events"),
        ("a", "x\n0.0\nworkload\n\n\n\n\n0\n\n\n", "expected numbers in events"),
        ("a", "1\n0.0\nparty\n\n\n\n\n0\n\n\n", "in events, got 'party'"),
        ("a", "1\n0.0\nworkload\nflying\n\n\n\n0\n\n\n", "in events, got 'flying'"),
        ("a", "1\n0.0\ndesired\n\n\n\n\n0\nrest\n\n", "in events, got 'rest'"),
        ("a", "1\n0.0\nworkload\n\n\n\n\n0\n\nk\n", "expected keys and values in events"),
        ("a", "1\n0.0\nremoved\n\n\n\n\n0\n\n\n-1", "expected 4 lines for a removal in events"),
    ],
)
def test_invalid_events_raise_bad_row(workload_id, text, message):
    with pytest.raises(BadRow, match=message):
        read_events(workload_id, text)


def publish(journal: EventJournal, *events: Event) -> None:
    for each in events:
        journal.append(each)
        journal.stored([each])


@pytest.mark.parametrize(("more", "kept"), [(0, [1, 2, 3]), (-1, [2, 3])])
def test_published_events_may_have_exactly_the_maximum_number_of_bytes(monkeypatch, more, kept):
    size = event_size(event(1))
    monkeypatch.setattr(_journal, "MAX_EVENT_BYTES", 3 * size + more)
    journal = EventJournal()
    publish(journal, *map(event, (1, 2, 3)))
    assert indexes(journal, journal.compacted) == kept
    publish(journal, event(4))  # the bytes of dropped events no longer count
    assert indexes(journal, journal.compacted) == [*kept, 4][-len(kept) :]


def test_bytes_of_events_that_were_dropped_with_waiting_ones_do_not_count(monkeypatch):
    monkeypatch.setattr(_journal, "MAX_EVENT_BYTES", 2 * event_size(event(1)))
    journal = EventJournal(max_events=2)
    publish(journal, event(1), event(2))
    for index in (3, 4, 5):  # one more than may wait
        journal.append(event(index))
    assert (len(journal), journal.compacted) == (0, 3)
    journal.stored([event(4), event(5)])
    assert indexes(journal, 3) == [4, 5]


@pytest.mark.parametrize(("seconds", "is_kept"), [(86_400.0, True), (86_400.5, False)])
def test_published_event_is_kept_for_exactly_a_day(seconds, is_kept):
    journal = EventJournal()
    publish(journal, event(1, at=1000.0), event(2, at=1000.0 + seconds))
    assert indexes(journal, journal.compacted) == [1, 2][not is_kept :]


@pytest.mark.parametrize(("index", "is_due"), [(2, True), (3, False), (4, False)])
def test_store_of_an_incomplete_journal_is_compacted_until_the_oldest_event(index, is_due):
    journal = EventJournal(max_events=1)
    for each in (1, 2, 3, 4):
        journal.append(event(each))
    assert (journal.compaction, journal.must_compact) == (3, True)
    journal.compacted_store(index)
    assert (journal.compaction, journal.must_compact) == (3 if is_due else None, is_due)


def test_count_of_dropped_events_restarts_after_each_compaction(monkeypatch):
    monkeypatch.setattr(_journal, "COMPACTION_EVENTS", 3)
    journal = EventJournal(max_events=1)
    due = []
    for index in range(1, 10):
        publish(journal, event(index))
        due.append(journal.compaction)
        if journal.compaction is not None:
            journal.compacted_store(journal.compaction)
    assert due == [None, None, None, 3, None, None, 6, None, None]


def test_journal_begins_without_events_at_its_index():
    journal = EventJournal()
    assert (journal.index, journal.compacted, len(journal)) == (0, 0, 0)
    assert journal.after(0, 1) == []
    journal = EventJournal([event(5), event(7)], compacted=4, index=9)
    assert (journal.index, journal.compacted, indexes(journal, 4)) == (9, 4, [5, 7])
    assert [indexes(journal, after) for after in (5, 6, 7, 9)] == [[7], [7], [], []]
