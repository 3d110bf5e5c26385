"""Which changes wait for the store, in what order they are written, and what a failure leaves."""

import pytest
from kakuri_registry import StoreFull, WorkloadRegistry
from kakuri_registry._backlog import Backlog
from kakuri_registry._change_log import Change
from kakuri_workload import Workload, WorkloadState


class Source:
    """A registry whose changes are noted."""

    def __init__(self):
        self.registry = WorkloadRegistry()
        self.now = 0.0

    def new(self, workload_id):
        workload = Workload(workload_id, "nginx", "edera-zone", 512, 500)
        entry = self.registry.register(workload, now=0.0)
        return Change(workload_id, self.registry.version, entry, is_new=True)

    def update(self, workload_id):
        self.now += 1.0
        entry = self.registry.update(
            workload_id, WorkloadState.RUNNING, now=self.now, started_at=self.now
        )
        return Change(workload_id, self.registry.version, entry, is_new=False)

    def removal(self, workload_id):
        self.registry.remove(workload_id)
        return Change(workload_id, self.registry.version, None, is_new=False)


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def backlog():
    return Backlog()


def ids(changes):
    return [change.workload_id for change in changes]


def test_new_backlog_is_empty(backlog):
    assert (backlog.ids, backlog.writing, backlog.is_urgent) == ([], {}, False)
    assert (backlog.is_due, backlog.is_apart) == (False, False)
    assert backlog.take(only_new=False) == []


def test_only_awaited_changes_are_taken_until_all_are_due(backlog, source):
    for name in ("a", "b", "c"):
        backlog.note(source.new(name))
    backlog.wait("b", print)
    assert backlog.is_urgent
    assert ids(backlog.take(only_new=False)) == ["b"]
    assert not backlog.is_urgent
    assert backlog.written().keys() == {"b"}
    backlog.is_due = True
    assert backlog.is_urgent
    assert ids(backlog.take(only_new=False)) == ["a", "c"]
    assert not backlog.is_due


def test_later_change_takes_the_place_of_the_pending_one_and_stays_new(backlog, source):
    backlog.note(source.new("a"))
    later = source.update("a")
    backlog.note(later)
    assert backlog.is_new("a")
    backlog.is_due = True
    (change,) = backlog.take(only_new=False)
    assert (change.entry, change.is_new) == (later.entry, True)
    assert backlog.is_new("a")
    assert backlog.has("a")
    backlog.written()
    assert not backlog.has("a")
    assert not backlog.is_new("a")


def test_new_ones_are_written_apart_after_the_others(backlog, source):
    backlog.note(source.new("old"))
    backlog.is_due = True
    backlog.take(only_new=False)
    backlog.written()
    backlog.note(source.new("new"))
    backlog.note(source.update("old"))
    backlog.is_due = backlog.is_apart = True
    assert ids(backlog.take(only_new=False)) == ["old"]
    backlog.written()
    assert backlog.is_due
    assert ids(backlog.take(only_new=False)) == ["new"]
    backlog.written()
    assert not backlog.is_due


def test_new_ones_alone_can_be_asked_for(backlog, source):
    backlog.note(source.new("old"))
    backlog.is_due = True
    backlog.take(only_new=False)
    backlog.written()
    backlog.note(source.update("old"))
    backlog.note(source.new("new"))
    backlog.is_due = backlog.is_apart = True
    assert ids(backlog.take(only_new=True)) == ["new"]


def test_change_that_could_not_be_written_becomes_the_later_one_with_all_that_wait(backlog, source):
    outcomes = []
    backlog.note(source.new("a"))
    backlog.wait("a", lambda error: outcomes.append(("first", error)))
    backlog.take(only_new=False)
    backlog.wait("a", lambda error: outcomes.append(("while writing", error)))
    later = source.update("a")
    backlog.note(later)
    backlog.wait("a", lambda error: outcomes.append(("later", error)))
    backlog.put_back(backlog.written())
    assert backlog.is_due
    assert backlog.is_urgent
    (change,) = backlog.take(only_new=False)
    assert (change.entry, change.is_new) == (later.entry, True)
    (pending,) = backlog.written().values()
    for told in pending.waiting:
        told(None)
    assert outcomes == [("first", None), ("while writing", None), ("later", None)]


def test_change_that_nobody_awaits_is_not_urgent_when_it_is_put_back(backlog, source):
    backlog.note(source.new("a"))
    backlog.is_due = True
    backlog.take(only_new=False)
    backlog.put_back(backlog.written())
    backlog.is_due = False
    assert not backlog.is_urgent
    assert backlog.ids == ["a"]


def test_refused_registration_is_forgotten_and_all_that_wait_are_returned(backlog, source):
    backlog.note(source.new("a"))
    backlog.wait("a", print)
    backlog.take(only_new=False)
    backlog.note(source.update("a"))
    backlog.wait("a", repr)

    def forget(workload_id):
        backlog.note(source.removal(workload_id))

    assert backlog.withdraw(backlog.written(), forget) == [print, repr]
    assert (backlog.ids, backlog.is_urgent) == ([], False)


def test_refused_registration_that_was_removed_meanwhile_is_left_alone(backlog, source):
    backlog.note(source.new("a"))
    backlog.wait("a", print)
    backlog.take(only_new=False)
    backlog.note(source.removal("a"))
    forgotten = []
    assert backlog.withdraw(backlog.written(), forgotten.append) == [print]
    assert (forgotten, backlog.ids) == ([], ["a"])


def test_removal_is_written_although_the_next_registration_is_refused(backlog, source):
    backlog.note(source.new("a"))
    backlog.is_due = True
    backlog.take(only_new=False)
    backlog.written()
    backlog.note(source.removal("a"))
    backlog.note(source.new("a"))
    backlog.is_due = True
    (change,) = backlog.take(only_new=False)
    assert change.is_new
    backlog.withdraw(backlog.written(), lambda name: backlog.note(source.removal(name)))
    backlog.is_due = True
    (change,) = backlog.take(only_new=False)
    assert change.entry is None


def test_clearing_returns_every_waiter_once(backlog, source):
    error = StoreFull("full")
    told = []
    for name in ("a", "b"):
        backlog.note(source.new(name))
        backlog.wait(name, told.append)
        if name == "a":
            backlog.take(only_new=False)
    for each in backlog.clear():
        each(error)
    assert told == [error, error]
    assert (backlog.ids, backlog.is_urgent) == ([], False)
