"""Tests that a page of 200,000 workloads examines only the ids that it returns."""

from collections import Counter
from types import SimpleNamespace

import pytest
from kakuri_registry import MAX_PAGE
from kakuri_registry._index import MAX_UNAPPLIED, Index
from kakuri_registry._ordered import OrderedIds
from kakuri_workload import WorkloadState

NUMBER = 200_000
PENDING, RUNNING, SUCCEEDED, FAILED = WorkloadState
ALL, HALF, FEW, NONE = ("all", "x"), ("half", "x"), ("few", "x"), ("none", "x")


def name(number):
    return f"w-{number:06}"


def entry(number):
    """Return a workload: most succeeded, 1 of 1,000 runs, 1 of 10,000 has a rare label."""
    labels = {"all": "x"}
    if number % 2:
        labels["half"] = "x"
    if number % 10_000 == 5001:
        labels["few"] = "x"
    state = RUNNING if number % 1000 == 0 else SUCCEEDED
    workload = SimpleNamespace(id=name(number), labels=labels)
    return SimpleNamespace(workload=workload, state=state, run=SimpleNamespace(state=state))


@pytest.fixture(scope="module")
def entries():
    return {name(number): entry(number) for number in range(NUMBER)}


@pytest.fixture(scope="module")
def index(entries):
    return Index(entries)


@pytest.fixture
def examined(monkeypatch):
    """Count the ids that are read from ordered sets."""
    count = Counter()
    after = OrderedIds.after

    def counted(self, workload_id):
        for each in after(self, workload_id):
            count["ids"] += 1
            yield each

    monkeypatch.setattr(OrderedIds, "after", counted)
    return count


def page(index, after="", state=None, label=None, limit=MAX_PAGE):
    return [each for each, _ in zip(index.after(after, state, label), range(limit), strict=False)]


@pytest.mark.parametrize("after", ["", name(123_456), name(NUMBER - 3), "zzz"])
@pytest.mark.parametrize("state", [None, *WorkloadState])
@pytest.mark.parametrize("label", [None, ALL, HALF, FEW, NONE])
def test_page_of_any_state_and_label_examines_only_ids_that_it_returns(
    index, examined, after, state, label
):
    found = page(index, after, state, label)
    # One more in each state, to merge them in order, and one to know whether more follow.
    assert examined["ids"] <= len(found) + len(WorkloadState) + 1
    assert found == sorted(found)
    assert all(each > after for each in found)


@pytest.mark.parametrize("state", [None, RUNNING, SUCCEEDED])
@pytest.mark.parametrize("label", [None, HALF, FEW])
def test_page_of_a_state_and_a_label_has_exactly_those_workloads(index, entries, state, label):
    after = name(4990)
    expected = [
        workload_id
        for workload_id, each in entries.items()
        if workload_id > after
        and (state is None or each.state is state)
        and (label is None or label[0] in each.workload.labels)
    ]
    assert page(index, after, state, label) == expected[:MAX_PAGE]


def test_page_of_a_rare_label_examines_no_other_workload(index, examined):
    # One in ten thousand has the label, and none of these runs.
    assert page(index, "", RUNNING, FEW) == []
    assert examined["ids"] == 0
    assert len(page(index, "", SUCCEEDED, FEW)) == NUMBER // 10_000
    assert len(page(index, "", RUNNING, ALL)) == NUMBER // 1000


def test_page_after_a_removed_workload_continues_with_the_next(entries, examined):
    index = Index(entries)
    last = page(index, "", None, HALF)[-1]
    removed = [entries[name(number)] for number in range(NUMBER // 2) if number % 2]
    for each in removed:
        index.discard(each)
    examined.clear()
    following = page(index, last, None, HALF)
    assert following[0] == name(NUMBER // 2 + 1)
    assert examined["ids"] <= MAX_PAGE + len(WorkloadState) + 1


def test_unapplied_changes_are_bounded_and_dropped_when_their_workload_is_removed():
    entries = {}
    index = Index(entries)
    for number in range(3 * MAX_UNAPPLIED):
        entries[name(number)] = entry(number)
        index.record(name(number), None)
        assert len(index._unapplied) <= MAX_UNAPPLIED
    for number in range(3 * MAX_UNAPPLIED):
        index.discard(entries.pop(name(number)))
    assert (index._unapplied, index._labels) == ({}, {})
    assert page(index) == []


def test_workload_that_is_registered_again_with_other_labels_has_only_those():
    entries = {name(0): entry(0)}
    index = Index(entries)
    index.discard(entries.pop(name(0)))
    again = entries[name(0)] = entry(1)
    again.workload.id = name(0)
    index.record(name(0), None)
    assert page(index, label=HALF) == page(index, state=SUCCEEDED) == [name(0)]
    assert page(index, state=RUNNING) == []
