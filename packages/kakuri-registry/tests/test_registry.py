import pytest
from hypothesis import given
from hypothesis import strategies as st
from kakuri_registry import (
    MAX_PAGE,
    TRANSITIONS,
    DuplicateWorkload,
    IllegalTransition,
    RegistryError,
    RegistryFull,
    UnknownWorkload,
    Workload,
    WorkloadRegistry,
    WorkloadState,
    ZoneHandle,
)

PENDING, RUNNING, SUCCEEDED, FAILED = WorkloadState


def workload(workload_id: str = "wl-1", **changes: object) -> Workload:
    fields = {
        "image": "nginx:latest",
        "runtime_class": "edera-zone",
        "memory_mb": 512,
        "cpu_millicores": 500,
    }
    return Workload(id=workload_id, **(fields | changes))


def test_a_registered_workload_is_pending():
    registry = WorkloadRegistry()
    entry = registry.register(workload(), now=7.0)
    assert (entry.state, entry.registered_at, entry.changed_at, entry.handle) == (
        PENDING,
        7.0,
        7.0,
        None,
    )
    assert registry.get("wl-1") is entry
    assert "wl-1" in registry
    assert list(registry) == [entry]


def test_a_duplicate_id_is_an_error_of_its_own_and_changes_nothing():
    registry = WorkloadRegistry()
    entry = registry.register(workload(), now=0)
    with pytest.raises(DuplicateWorkload, match="'wl-1' is already registered") as caught:
        registry.register(workload(image="other"), now=1)
    assert caught.value.workload_id == "wl-1"
    assert registry.get("wl-1") is entry


def test_a_full_registry_refuses_and_recovers():
    registry = WorkloadRegistry(max_workloads=2)
    registry.register(workload("a"), now=0)
    registry.register(workload("b"), now=0)
    with pytest.raises(RegistryFull, match="may hold 2 workloads"):
        registry.register(workload("c"), now=0)
    registry.remove("a")
    registry.register(workload("c"), now=0)
    assert len(registry) == 2


LEGAL = {(PENDING, RUNNING), (PENDING, FAILED), (RUNNING, SUCCEEDED), (RUNNING, FAILED)}
PATHS = {PENDING: [], RUNNING: [RUNNING], SUCCEEDED: [RUNNING, SUCCEEDED], FAILED: [FAILED]}


@pytest.mark.parametrize("current", WorkloadState)
@pytest.mark.parametrize("wanted", WorkloadState)
def test_every_step_is_legal_or_an_error_that_names_both_states(current, wanted):
    registry = WorkloadRegistry()
    registry.register(workload(), now=0)
    for state in PATHS[current]:
        registry.update("wl-1", state, now=1)
    before = registry.get("wl-1")
    if (current, wanted) in LEGAL or (current is wanted and current in (PENDING, RUNNING)):
        after = registry.update("wl-1", wanted, now=2, reason="Because", message="m", exit_code=3)
        assert (after.state, after.changed_at, after.registered_at) == (wanted, 2, 0)
        assert (after.reason, after.message, after.exit_code) == ("Because", "m", 3)
        assert after.version > before.version
    else:
        with pytest.raises(IllegalTransition) as caught:
            registry.update("wl-1", wanted, now=2)
        assert (caught.value.current, caught.value.wanted) == (current, wanted)
        assert f"from {current.value} to {wanted.value}" in str(caught.value)
        assert registry.get("wl-1") is before


def test_the_table_and_its_questions_agree():
    assert {(a, b) for a in WorkloadState for b in WorkloadState if a.can_become(b)} == LEGAL
    assert [state for state in WorkloadState if state.is_terminal] == [SUCCEEDED, FAILED]
    assert set(TRANSITIONS) == set(WorkloadState)


def test_a_snapshot_never_changes():
    registry = WorkloadRegistry()
    first = registry.register(workload(), now=0)
    registry.update("wl-1", RUNNING, now=1)
    assert first.state is PENDING
    with pytest.raises(AttributeError):
        first.state = RUNNING
    with pytest.raises(AttributeError):
        first.workload.image = "other"


def test_a_handle_is_kept_across_states():
    registry = WorkloadRegistry()
    registry.register(workload(), now=0)
    registry.set_handle("wl-1", ZoneHandle("sandbox", "container"))
    assert registry.update("wl-1", RUNNING, now=1).handle == ZoneHandle("sandbox", "container")
    other = ZoneHandle("sandbox", "another")
    assert registry.update("wl-1", RUNNING, now=1, handle=other).handle == other


@pytest.mark.parametrize(
    "act",
    [
        lambda r: r.update("nope", RUNNING, now=0),
        lambda r: r.set_handle("nope", ZoneHandle("a", "b")),
        lambda r: r.remove("nope"),
    ],
)
def test_an_unknown_id_is_an_error_that_names_it(act):
    with pytest.raises(UnknownWorkload) as caught:
        act(WorkloadRegistry())
    assert str(caught.value) == "no workload 'nope' is registered"
    assert isinstance(caught.value, RegistryError)
    assert WorkloadRegistry().get("nope") is None


def test_pages_are_stable_while_workloads_come_and_go():
    registry = WorkloadRegistry()
    for name in ("d", "a", "c", "e"):
        registry.register(workload(name), now=0)
    first = registry.page(limit=2)
    assert [entry.workload.id for entry in first] == ["a", "c"]
    registry.remove("c")
    registry.register(workload("b"), now=0)
    assert [entry.workload.id for entry in registry.page(after="c", limit=2)] == ["d", "e"]
    assert registry.page(after="e") == []


def test_a_page_can_be_of_one_state():
    registry = WorkloadRegistry()
    for name in ("a", "b", "c"):
        registry.register(workload(name), now=0)
    registry.update("b", RUNNING, now=0)
    assert [entry.workload.id for entry in registry.page(state=RUNNING)] == ["b"]
    assert [entry.workload.id for entry in registry.page(state=PENDING, limit=1)] == ["a"]


def test_coming_and_going_leaves_nothing_behind():
    registry = WorkloadRegistry()
    registry.register(workload("stays"), now=0)
    for number in range(10_000):
        registry.register(workload(f"w-{number}"), now=0)
        registry.remove(f"w-{number}")
    assert len(registry._ids) < 3000
    assert len(registry._gone) < 3000
    assert [entry.workload.id for entry in registry.page()] == ["stays"]


@pytest.mark.parametrize("limit", [0, -1, MAX_PAGE + 1])
def test_a_limit_outside_its_range_is_refused(limit):
    with pytest.raises(ValueError, match=f"from 1 to {MAX_PAGE}, got {limit}"):
        WorkloadRegistry().page(limit=limit)


@given(
    st.lists(st.tuples(st.sampled_from(["register", "remove", "list"]), st.sampled_from("abcdef")))
)
def test_listing_agrees_with_a_plain_dict(steps):
    registry, model, versions = WorkloadRegistry(), set(), [-1]
    for step, name in steps:
        if step == "register" and name not in model:
            registry.register(workload(name), now=0)
            model.add(name)
        elif step == "remove" and name in model:
            assert registry.remove(name).workload.id == name
            model.remove(name)
        elif step == "list":
            assert [entry.workload.id for entry in registry.page()] == sorted(model)
            continue
        else:
            continue
        assert registry.version > versions[-1]
        versions.append(registry.version)
    assert [entry.workload.id for entry in registry.page()] == sorted(model)
    assert len(registry) == len(model)
    assert (
        repr(registry) == f"<WorkloadRegistry {len(model)} workloads, version {registry.version}>"
    )
