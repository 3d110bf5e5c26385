import copy
import pickle
from collections import UserList, deque
from typing import get_origin, get_type_hints

import pytest
from kakuri_registry import Loaded, SQLiteStore, WorkloadEntry, WorkloadRegistry
from kakuri_registry._frozen import EMPTY, MUTABLE_FIELDS, FrozenDict, freeze
from kakuri_workload import Run, Workload
from kakuri_workload import WorkloadState as State


def workload(**fields: object) -> Workload:
    return Workload("w", "nginx", "edera-zone", 1, 1, **fields)


def test_registered_workload_does_not_follow_the_callers_mappings_and_lists():
    labels, env, args = {"team": "a"}, {"X": "1"}, ["one"]
    registry = WorkloadRegistry()
    given = workload(labels=labels, env=env, args=args)
    registry.register(given, now=0)
    snapshot = registry.get("w")
    labels["team"], env["X"] = "b", "2"
    args.append("two")
    assert snapshot.workload == workload(labels={"team": "a"}, env={"X": "1"}, args=("one",))
    assert [each.workload.id for each in registry.page(label=("team", "a"))] == ["w"]
    assert registry.page(label=("team", "b")) == []
    assert registry.remove("w") is snapshot
    assert len(registry) == 0


@pytest.mark.parametrize("make", [list, deque, UserList])
def test_sequence_of_any_class_is_replaced_by_a_tuple(make):
    args = make(["one"])
    snapshot = WorkloadRegistry().register(workload(args=args, command=args), now=0)
    args.append("two")
    assert snapshot.workload.args == snapshot.workload.command == ("one",)
    assert isinstance(hash(snapshot), int)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.__setitem__("team", "b"),
        lambda d: d.__delitem__("team"),
        lambda d: d.__ior__({"team": "b"}),
        lambda d: d.clear(),
        lambda d: d.pop("team"),
        lambda d: d.popitem(),
        lambda d: d.setdefault("other", "b"),
        lambda d: d.update(team="b"),
    ],
)
def test_frozen_dict_refuses_every_change(change):
    registry = WorkloadRegistry()
    snapshot = registry.register(workload(labels={"team": "a"}), now=0)
    with pytest.raises(TypeError, match=r"FrozenDict is immutable: make a changed copy with dict"):
        change(snapshot.workload.labels)
    assert snapshot.workload.labels == {"team": "a"}


def test_frozen_dict_is_a_dict_that_can_be_copied_pickled_and_hashed():
    labels = FrozenDict({"team": "a"})
    assert labels == {"team": "a"}
    assert repr(labels) == "FrozenDict({'team': 'a'})"
    for again in (copy.copy(labels), copy.deepcopy(labels), pickle.loads(pickle.dumps(labels))):
        assert (type(again), again) == (FrozenDict, {"team": "a"})
    assert hash(labels) == hash(FrozenDict({"team": "a"}))
    assert type(labels | {"x": "y"}) is dict


def test_entry_can_be_hashed_pickled_and_copied():
    entry = WorkloadRegistry().register(workload(labels={"team": "a"}, env={"A": "b"}), now=0)
    assert pickle.loads(pickle.dumps(entry)) == copy.deepcopy(entry) == entry
    assert hash(entry) == hash(copy.deepcopy(entry))


def test_registered_workload_is_the_callers_object_made_immutable():
    given = workload(labels={"a": "b"}, command=["sh"])
    first = WorkloadRegistry().register(given, now=0).workload
    assert first is given
    before = (first.labels, first.command)
    assert WorkloadRegistry().register(given, now=0).workload.labels is before[0]
    assert (given.command, given.env) == (("sh",), {})
    assert given.env is EMPTY


def test_loaded_workloads_are_frozen_for_any_type_from_the_store(tmp_path):
    entry = WorkloadEntry(workload(labels={"a": "b"}), Run(State.PENDING), 1, 0.0, 0.0)
    registry = WorkloadRegistry.load(Loaded([entry]))
    assert type(registry.get("w").workload.labels) is FrozenDict
    store = SQLiteStore(tmp_path / "db")
    changes = []
    written = WorkloadRegistry()
    written.subscribe(changes.append)
    written.register(workload(labels={"a": "b"}), now=0)
    store.write(changes)
    (again,) = store.load().entries
    store.close()
    assert type(again.workload.labels) is FrozenDict
    assert again.workload.env is EMPTY


def test_every_field_of_a_workload_that_can_be_mutable_is_frozen():
    mutable = {
        name
        for name, value in get_type_hints(Workload).items()
        if name != "__json__" and get_origin(value) in (dict, list, set, tuple)
    }
    assert mutable == set(MUTABLE_FIELDS)


def test_freeze_replaces_nested_mutable_values():
    inner = ["x"]
    given = workload(labels={"a": inner, "b": {"c": inner}})
    freeze(given)
    inner.append("y")
    assert given.labels == {"a": ("x",), "b": {"c": ("x",)}}
    assert hash(given.labels) == hash(FrozenDict(given.labels))
