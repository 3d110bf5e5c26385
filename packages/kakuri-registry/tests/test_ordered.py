import pytest
from hypothesis import given
from hypothesis import strategies as st
from kakuri_registry import _ordered
from kakuri_registry._ordered import OrderedIds

IDS = st.integers(0, 60).map(lambda number: f"w-{number:02}")


@given(
    st.sets(IDS),
    st.lists(st.tuples(st.sampled_from(["toggle", "toggle", "toggle", "read"]), IDS)),
    st.sampled_from([(1, 0), (2, 3), (4, 1000)]),
)
def test_ordered_ids_after_any_changes_equal_a_sorted_set(start, steps, sizes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_ordered, "BLOCK", sizes[0])
        patch.setattr(_ordered, "MAX_UNMERGED", sizes[1])
        ids, model = OrderedIds(start), set(start)
        for step, name in steps:
            if step == "read":
                assert list(ids.after(name)) == sorted(each for each in model if each > name)
            elif name in model:
                model.remove(name)
                ids.discard(name)
            else:
                model.add(name)
                ids.add(name)
            assert len(ids) == len(model)
        assert list(ids.after("")) == sorted(model)
        assert all(ids._blocks)
        assert [block[-1] for block in ids._blocks] == ids._last


def test_blocks_of_ordered_ids_stay_short_after_any_changes():
    ids = OrderedIds()
    for number in range(50_000):
        ids.add(f"w-{number * 7919 % 50_000:05}")
    assert list(ids.after("w-49997")) == ["w-49998", "w-49999"]
    assert max(map(len, ids._blocks)) < 2 * _ordered.BLOCK
    for number in range(0, 50_000, 2):
        ids.discard(f"w-{number:05}")
    assert list(ids.after("w-49996")) == ["w-49997", "w-49999"]
    assert len(ids) == 25_000


def test_id_that_is_added_and_discarded_leaves_no_record():
    ids = OrderedIds()
    for number in range(10_000):
        ids.add(f"w-{number}")
        ids.discard(f"w-{number}")
    assert (len(ids), ids._unmerged, ids._blocks) == (0, {}, [])
    assert list(ids.after("")) == []


def test_changes_that_are_not_merged_are_bounded(monkeypatch):
    monkeypatch.setattr(_ordered, "MAX_UNMERGED", 10)
    ids = OrderedIds()
    most = 0
    for number in range(100):
        ids.add(f"w-{number:02}")
        most = max(most, len(ids._unmerged))
    assert most == 10
    assert sum(map(len, ids._blocks)) + len(ids._unmerged) == len(ids) == 100
