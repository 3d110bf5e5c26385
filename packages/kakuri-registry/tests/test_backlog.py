"""Pending changes: which ones are written next, and what happens to those that fail."""

import pytest
from kakuri_registry import StoreFull, WorkloadRegistry
from kakuri_registry._backlog import Backlog
from kakuri_registry._change import Change
from kakuri_workload import Run, Workload, WorkloadState


class Source:
    """A registry whose changes are returned."""

    def __init__(self):
        self.registry = WorkloadRegistry()
        self.now = 0.0

    def new(self, workload_id):
        workload = Workload(workload_id, "nginx", "edera-zone", 512, 500)
        entry = self.registry.register(workload, now=0.0)
        return Change(workload_id, self.registry.version, entry, is_registration=True)

    def update(self, workload_id):
        self.now += 1.0
        entry = self.registry.update(
            workload_id, Run(WorkloadState.RUNNING, started_at=self.now), now=self.now
        )
        return Change(workload_id, self.registry.version, entry, is_registration=False)

    def removal(self, workload_id):
        self.registry.remove(workload_id)
        return Change(workload_id, self.registry.version, None, is_registration=False)


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
    assert (backlog.is_batch_due, backlog.splits_registrations) == (False, False)
    assert backlog.take(only_registrations=False) == []


def test_take_returns_awaited_changes_only_until_a_batch_is_due(backlog, source):
    for name in ("a", "b", "c"):
        backlog.add(source.new(name))
    backlog.add_callback("b", print)
    assert backlog.is_urgent
    assert ids(backlog.take(only_registrations=False)) == ["b"]
    assert not backlog.is_urgent
    assert backlog.end_write().keys() == {"b"}
    backlog.is_batch_due = True
    assert backlog.is_urgent
    assert ids(backlog.take(only_registrations=False)) == ["a", "c"]
    assert not backlog.is_batch_due


def test_later_change_replaces_a_pending_registration_and_stays_new(backlog, source):
    backlog.add(source.new("a"))
    later = source.update("a")
    backlog.add(later)
    assert backlog.has_registration("a")
    backlog.is_batch_due = True
    (change,) = backlog.take(only_registrations=False)
    assert (change.entry, change.is_registration) == (later.entry, True)
    assert backlog.has_registration("a")
    assert backlog.has("a")
    backlog.end_write()
    assert not backlog.has("a")
    assert not backlog.has_registration("a")


def test_registrations_are_taken_separately_after_other_changes(backlog, source):
    backlog.add(source.new("old"))
    backlog.is_batch_due = True
    backlog.take(only_registrations=False)
    backlog.end_write()
    backlog.add(source.new("new"))
    backlog.add(source.update("old"))
    backlog.is_batch_due = backlog.splits_registrations = True
    assert ids(backlog.take(only_registrations=False)) == ["old"]
    backlog.end_write()
    assert backlog.is_batch_due
    assert ids(backlog.take(only_registrations=False)) == ["new"]
    backlog.end_write()
    assert not backlog.is_batch_due


def test_take_of_only_registrations_leaves_other_changes(backlog, source):
    backlog.add(source.new("old"))
    backlog.is_batch_due = True
    backlog.take(only_registrations=False)
    backlog.end_write()
    backlog.add(source.update("old"))
    backlog.add(source.new("new"))
    backlog.is_batch_due = backlog.splits_registrations = True
    assert ids(backlog.take(only_registrations=True)) == ["new"]


def test_put_back_merges_a_change_with_a_later_one_and_keeps_all_callbacks(backlog, source):
    outcomes = []
    backlog.add(source.new("a"))
    backlog.add_callback("a", lambda error: outcomes.append(("first", error)))
    backlog.take(only_registrations=False)
    backlog.add_callback("a", lambda error: outcomes.append(("while writing", error)))
    later = source.update("a")
    backlog.add(later)
    backlog.add_callback("a", lambda error: outcomes.append(("later", error)))
    backlog.put_back(backlog.end_write())
    assert backlog.is_batch_due
    assert backlog.is_urgent
    (change,) = backlog.take(only_registrations=False)
    assert (change.entry, change.is_registration) == (later.entry, True)
    (pending,) = backlog.end_write().values()
    for on_saved in pending.callbacks:
        on_saved(None)
    assert outcomes == [("first", None), ("while writing", None), ("later", None)]


def test_put_back_of_a_change_without_callbacks_is_not_urgent(backlog, source):
    backlog.add(source.new("a"))
    backlog.is_batch_due = True
    backlog.take(only_registrations=False)
    backlog.put_back(backlog.end_write())
    backlog.is_batch_due = False
    assert not backlog.is_urgent
    assert backlog.ids == ["a"]


def test_withdraw_unregisters_refused_registrations_and_returns_all_their_callbacks(
    backlog, source
):
    backlog.add(source.new("a"))
    backlog.add_callback("a", print)
    backlog.take(only_registrations=False)
    backlog.add(source.update("a"))
    backlog.add_callback("a", repr)

    def unregister(workload_id):
        backlog.add(source.removal(workload_id))

    assert backlog.withdraw(backlog.end_write(), unregister) == [print, repr]
    assert (backlog.ids, backlog.is_urgent) == ([], False)


def test_withdraw_of_a_removed_workload_keeps_the_removal(backlog, source):
    backlog.add(source.new("a"))
    backlog.add_callback("a", print)
    backlog.take(only_registrations=False)
    backlog.add(source.removal("a"))
    unregistered = []
    assert backlog.withdraw(backlog.end_write(), unregistered.append) == [print]
    assert (unregistered, backlog.ids) == ([], ["a"])


def test_withdraw_of_a_reregistration_leaves_the_removal_to_be_written(backlog, source):
    backlog.add(source.new("a"))
    backlog.is_batch_due = True
    backlog.take(only_registrations=False)
    backlog.end_write()
    backlog.add(source.removal("a"))
    backlog.add(source.new("a"))
    backlog.is_batch_due = True
    (change,) = backlog.take(only_registrations=False)
    assert change.is_registration
    backlog.withdraw(backlog.end_write(), lambda name: backlog.add(source.removal(name)))
    backlog.is_batch_due = True
    (change,) = backlog.take(only_registrations=False)
    assert change.entry is None


def test_clear_returns_each_callback_once(backlog, source):
    error = StoreFull("full")
    outcomes = []
    for name in ("a", "b"):
        backlog.add(source.new(name))
        backlog.add_callback(name, outcomes.append)
        if name == "a":
            backlog.take(only_registrations=False)
    for each in backlog.clear():
        each(error)
    assert outcomes == [error, error]
    assert (backlog.ids, backlog.is_urgent) == ([], False)


def test_withdraw_of_a_reregistration_during_a_failed_write_leaves_the_removal(backlog, source):
    backlog.add(source.new("a"))
    backlog.is_batch_due = True
    backlog.take(only_registrations=False)
    backlog.end_write()  # the store has "a"
    backlog.add(source.update("a"))
    backlog.is_batch_due = True
    backlog.take(only_registrations=False)
    backlog.add(source.removal("a"))
    backlog.add(source.new("a"))
    backlog.put_back(backlog.end_write())  # the update was not written
    (change,) = backlog.take(only_registrations=False)
    assert change.is_registration
    backlog.withdraw(backlog.end_write(), lambda name: backlog.add(source.removal(name)))
    backlog.is_batch_due = True
    (change,) = backlog.take(only_registrations=False)
    assert change.entry is None
