import dataclasses
import datetime as dt
import gc
import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kakuri_registry import (
    MAX_PAGE,
    Change,
    DuplicateWorkload,
    IllegalTransition,
    RegistryError,
    RegistryFull,
    RemovalIsFinal,
    UnknownWorkload,
    WorkloadRegistry,
)
from kakuri_registry._ordered import MAX_UNMERGED
from kakuri_workload import (
    MAX_HISTORY,
    TRANSITIONS,
    DesiredState,
    EventType,
    Run,
    Transition,
    WorkloadState,
)
from kakuri_workload.testing import workload

PENDING, RUNNING, SUCCEEDED, FAILED = WorkloadState
STOP = DesiredState.STOP


def test_register_returns_a_pending_entry():
    registry = WorkloadRegistry()
    entry = registry.register(workload(), now=7.0)
    assert (entry.run, entry.registered_at, entry.changed_at) == (Run(PENDING), 7.0, 7.0)
    assert (entry.state, entry.attempt) == (PENDING, 0)
    assert registry.get("wl-1") is entry
    assert "wl-1" in registry
    assert list(registry) == [entry]


def test_register_of_a_known_id_raises_duplicate_workload_and_changes_nothing():
    registry = WorkloadRegistry()
    entry = registry.register(workload(), now=0)
    with pytest.raises(DuplicateWorkload, match="'wl-1' is already registered") as caught:
        registry.register(workload(image="other"), now=1)
    assert caught.value.workload_id == "wl-1"
    assert registry.get("wl-1") is entry


def test_full_registry_refuses_workloads_until_one_is_removed():
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
@pytest.mark.parametrize("target", WorkloadState)
def test_update_follows_the_state_machine_or_raises_an_error_that_names_both_states(
    current, target
):
    registry = WorkloadRegistry()
    registry.register(workload(), now=0)
    for state in PATHS[current]:
        registry.update("wl-1", Run(state), now=1)
    before = registry.get("wl-1")
    if (current, target) in LEGAL or (current is target and current in (PENDING, RUNNING)):
        after = registry.update(
            "wl-1", Run(target, reason="Because", message="m", exit_code=3), now=2
        )
        assert (after.state, after.changed_at, after.registered_at) == (target, 2, 0)
        assert (after.run.reason, after.run.message, after.run.exit_code) == ("Because", "m", 3)
        assert after.version > before.version
    else:
        with pytest.raises(IllegalTransition) as caught:
            registry.update("wl-1", Run(target), now=2)
        assert (caught.value.current, caught.value.target) == (current, target)
        assert f"from {current.value} to {target.value}: " in str(caught.value)
        assert registry.get("wl-1") is before


@pytest.mark.parametrize(
    ("current", "target", "why"),
    [
        (FAILED, FAILED, "failed is a terminal state"),
        (SUCCEEDED, RUNNING, "succeeded is a terminal state"),
        (PENDING, SUCCEEDED, "expected running or failed"),
    ],
)
def test_illegal_transition_message_lists_the_possible_states(current, target, why):
    error = IllegalTransition("w", current, target)
    step = f"from {current.value} to {target.value}"
    assert str(error) == f"workload 'w' can't go {step}: {why}"


def test_can_become_and_is_terminal_agree_with_the_table_of_transitions():
    assert {(a, b) for a in WorkloadState for b in WorkloadState if a.can_become(b)} == LEGAL
    assert [state for state in WorkloadState if state.is_terminal] == [SUCCEEDED, FAILED]
    assert set(TRANSITIONS) == set(WorkloadState)


def test_entry_does_not_change_after_an_update():
    registry = WorkloadRegistry()
    first = registry.register(workload(), now=0)
    registry.update("wl-1", Run(RUNNING), now=1)
    assert first.state is PENDING
    with pytest.raises(AttributeError):
        first.run = Run(RUNNING)
    with pytest.raises(AttributeError):
        first.workload.image = "other"


@pytest.mark.parametrize(
    "act",
    [
        lambda r: r.update("nope", Run(RUNNING), now=0),
        lambda r: r.remove("nope"),
    ],
)
def test_unknown_id_raises_unknown_workload_that_names_it(act):
    with pytest.raises(UnknownWorkload) as caught:
        act(WorkloadRegistry())
    assert str(caught.value) == "no workload 'nope' is registered"
    assert isinstance(caught.value, RegistryError)
    assert WorkloadRegistry().get("nope") is None


def test_page_after_an_id_is_correct_while_workloads_are_added_and_removed():
    registry = WorkloadRegistry()
    for name in ("d", "a", "c", "e"):
        registry.register(workload(name), now=0)
    first = registry.page(limit=2)
    assert [entry.workload.id for entry in first] == ["a", "c"]
    registry.remove("c")
    registry.register(workload("b"), now=0)
    assert [entry.workload.id for entry in registry.page(after="c", limit=2)] == ["d", "e"]
    assert registry.page(after="e") == []


def test_page_of_a_state_has_only_workloads_in_that_state():
    registry = WorkloadRegistry()
    for name in ("a", "b", "c"):
        registry.register(workload(name), now=0)
    registry.update("b", Run(RUNNING), now=0)
    assert [entry.workload.id for entry in registry.page(state=RUNNING)] == ["b"]
    assert [entry.workload.id for entry in registry.page(state=PENDING, limit=1)] == ["a"]


def test_index_does_not_grow_with_workloads_that_were_removed():
    registry = WorkloadRegistry()
    registry.register(workload("stays"), now=0)
    for number in range(10_000):
        registry.register(workload(f"w-{number}"), now=0)
        registry.remove(f"w-{number}")
    index = registry._index
    for ids in index._states.values():
        assert len(ids._unmerged) <= MAX_UNMERGED
        assert sum(map(len, ids._blocks)) <= MAX_UNMERGED + 1
    assert [entry.workload.id for entry in registry.page()] == ["stays"]


def test_update_with_what_is_known_already_returns_the_current_snapshot():
    registry = WorkloadRegistry()
    registry.register(workload(), now=1.0)
    entry = registry.update("wl-1", Run(RUNNING, address="10.0.0.2"), now=2.0)
    assert registry.update("wl-1", Run(RUNNING), now=3.0) is entry  # the address is kept
    assert registry.version == entry.version
    assert registry.update("wl-1", Run(RUNNING, "Slow"), now=3.0).version == entry.version + 1


@pytest.mark.parametrize("limit", [0, -1, MAX_PAGE + 1])
def test_page_with_a_limit_out_of_range_raises_value_error(limit):
    with pytest.raises(ValueError, match=f"from 1 to {MAX_PAGE}, got {limit}"):
        WorkloadRegistry().page(limit=limit)


@given(
    st.lists(st.tuples(st.sampled_from(["register", "remove", "list"]), st.sampled_from("abcdef")))
)
def test_pages_agree_with_a_set_after_any_changes(steps):
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


def ids(entries) -> list[str]:
    return [entry.workload.id for entry in entries]


def test_page_of_a_label_can_be_limited_to_a_state():
    registry = WorkloadRegistry()
    for name, team in [("d", "red"), ("a", "red"), ("c", "blue"), ("b", "red"), ("e", None)]:
        registry.register(workload(name, labels={"team": team} if team else {}), now=0)
    registry.update("a", Run(RUNNING), now=1)
    registry.update("c", Run(RUNNING), now=1)
    red = ("team", "red")
    assert ids(registry.page(label=red)) == ["a", "b", "d"]
    assert ids(registry.page(label=red, after="a", limit=1)) == ["b"]
    assert ids(registry.page(label=red, state=RUNNING)) == ["a"]
    assert ids(registry.page(label=red, state=PENDING)) == ["b", "d"]
    assert ids(registry.page(label=("team", "green"))) == []
    for name in ("a", "b", "d"):
        registry.remove(name)
    assert registry.page(label=red) == []
    assert set(registry._index._labels) == {(RUNNING, ("team", "blue"))}
    assert (registry.count(RUNNING), registry.count(PENDING)) == (1, 1)


def test_page_of_a_rare_state_reads_only_what_it_returns(monkeypatch):
    registry = WorkloadRegistry()
    for number in range(5000):
        registry.register(workload(f"w-{number:04}"), now=0)
    registry.update("w-4999", Run(RUNNING), now=1)
    assert ids(registry.page(state=RUNNING)) == ["w-4999"]
    assert list(registry._index.after("", RUNNING, None)) == ["w-4999"]


def test_page_of_a_state_and_a_label_reads_only_what_it_returns():
    registry = WorkloadRegistry()
    for number in range(3000):
        labels = {"team": "red" if number % 2 else "blue"}
        registry.register(workload(f"w-{number:04}", labels=labels), now=0)
        if labels["team"] == "blue":
            registry.update(f"w-{number:04}", Run(RUNNING), now=1)
    registry.update("w-2999", Run(RUNNING), now=1)
    # Half of the workloads run and half are red, but only the last one is both.
    assert list(registry._index.after("", RUNNING, ("team", "red"))) == ["w-2999"]
    assert list(registry._index.after("", PENDING, ("team", "blue"))) == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["register", "run", "end", "remove"]),
            st.sampled_from("abcdef"),
            st.sampled_from(["red", "blue", None]),
        ),
        max_size=40,
    )
)
def test_page_of_any_state_and_label_agrees_with_a_search_of_all_entries(steps):
    registry = WorkloadRegistry()
    for step, name, team in steps:
        entry = registry.get(name)
        if step == "register" and entry is None:
            registry.register(workload(name, labels={"team": team} if team else {}), now=0)
        elif step == "run" and entry is not None and entry.state is PENDING:
            registry.update(name, Run(RUNNING), now=0)
        elif step == "end" and entry is not None and not entry.state.is_terminal:
            registry.update(name, Run(FAILED), now=0)
        elif step == "remove" and entry is not None:
            registry.remove(name)
    for state in (None, *WorkloadState):
        for team in (None, "red", "blue", "green"):
            found = registry.page(state=state, label=team and ("team", team))
            assert ids(found) == sorted(
                entry.workload.id
                for entry in registry
                if (state is None or entry.state is state)
                and (team is None or entry.workload.labels.get("team") == team)
            )


def test_history_has_state_reason_attempt_and_exit_code_of_each_transition():
    registry = WorkloadRegistry()
    registry.register(workload(), now=1)
    registry.update("wl-1", Run(PENDING, reason="Pulling", message="nginx:latest"), now=2)
    registry.update("wl-1", Run(PENDING, reason="Pulling", message="half of it"), now=3)
    registry.update("wl-1", Run(RUNNING), now=4)
    registry.restart("wl-1", now=5, restart_at=15, reason="Error", exit_code=3)
    registry.set_desired("wl-1", DesiredState.STOP, now=6)
    registry.update("wl-1", Run(FAILED, reason="Stopped", message="m" * 300), now=7)
    assert registry.history("wl-1") == (
        Transition(1, PENDING),
        Transition(2, PENDING, "Pulling", "nginx:latest"),
        Transition(4, RUNNING),
        Transition(5, PENDING, "Error", None, 3, 1),
        Transition(7, FAILED, "Stopped", "m" * 255 + "…", attempt=1),
    )
    registry.remove("wl-1")
    registry.register(workload(), now=8)
    assert registry.history("wl-1") == (Transition(8, PENDING),)


def test_history_keeps_the_latest_sixteen_transitions():
    registry = WorkloadRegistry()
    registry.register(workload(), now=0)
    for number in range(1, 15):
        registry.restart("wl-1", now=number, restart_at=number, exit_code=number)
    assert len(registry.history("wl-1")) == 15
    for number in range(15, 40):
        registry.restart("wl-1", now=number, restart_at=number, exit_code=number)
    history = registry.history("wl-1")
    assert [step.attempt for step in history] == list(range(40 - MAX_HISTORY, 40))


def test_removed_workload_is_not_kept_alive_by_the_registry():
    registry = WorkloadRegistry()
    entry = registry.register(workload("a", env={"SECRET": "s"}), now=0)
    registry.update("a", Run(FAILED, message="m"), now=1)
    registry.remove("a")
    gc.collect()
    holders = [each for each in gc.get_referrers(entry) if each is not sys._getframe()]
    assert holders == []


def test_removable_returns_workloads_past_retention_in_the_order_they_ended():
    registry = WorkloadRegistry()
    for name in "abcd":
        registry.register(workload(name), now=0)
    registry.update("b", Run(FAILED), now=10)
    registry.update("a", Run(FAILED), now=20)
    registry.update("c", Run(RUNNING), now=5)
    registry.set_desired("b", DesiredState.STOP, now=25)  # its end is still at 10
    assert registry.removable(now=20, retention=10) == []
    assert ids(registry.removable(now=21, retention=10)) == ["b"]
    assert ids(registry.removable(now=31, retention=10)) == ["b", "a"]
    assert ids(registry.removable(now=31, retention=10, limit=1)) == ["b"]
    registry.set_desired("b", DesiredState.REMOVE, now=31)
    assert ids(registry.removable(now=31, retention=10)) == ["a"]
    registry.remove("b")
    assert ids(registry.removable(now=31, retention=10)) == ["a"]


def test_removable_skips_a_workload_that_ended_in_the_future():
    registry = WorkloadRegistry()
    for name, ended in (("ahead", 9999), ("b", 20)):
        registry.register(workload(name), now=1)
        registry.update(name, Run(FAILED), now=ended)
    assert ids(registry.removable(now=31, retention=10)) == ["b"]
    assert ids(registry.removable(now=99999, retention=10)) == ["ahead", "b"]


def test_next_run_does_not_inherit_times_address_or_digest():
    registry = WorkloadRegistry()
    registry.register(workload("a"), now=1)
    registry.update(
        "a", Run(RUNNING, started_at=1.5, address="10.0.0.2", image_digest="sha256:0f"), now=2
    )
    registry.update("a", Run(RUNNING, ended_at=2.5), now=3)
    entry = registry.restart("a", now=3, restart_at=13, failures=1)
    assert (entry.run.started_at, entry.run.ended_at, entry.run.address) == (1.5, 2.5, None)
    entry = registry.update("a", Run(PENDING, reason="Creating"), now=13)
    assert (entry.run.started_at, entry.run.ended_at, entry.run.image_digest) == (
        1.5,
        2.5,
        "sha256:0f",
    )
    entry = registry.update("a", Run(RUNNING), now=14)
    assert (entry.run.started_at, entry.run.ended_at, entry.run.address) == (None, None, None)
    assert entry.run.image_digest is None


def test_restart_with_a_given_attempt_may_skip_some_but_not_go_back():
    registry = WorkloadRegistry()
    registry.register(workload("a"), now=1)
    entry = registry.restart("a", now=2, restart_at=None, attempt=5)
    assert (entry.attempt, entry.restart_at) == (5, None)
    with pytest.raises(ValueError, match="expected an attempt after 5, got 5"):
        registry.restart("a", now=2, restart_at=None, attempt=5)


def test_subscriber_gets_every_change_until_it_is_unsubscribed():
    registry, changes = WorkloadRegistry(), []
    registry.subscribe(changes.append)
    entry = registry.register(workload("a"), now=0)
    registry.remove("a")
    registry.subscribe(None)
    registry.register(workload("b"), now=0)
    assert [change._replace(events=()) for change in changes] == [
        Change("a", 1, entry, (), True),
        Change("a", 2, None),
    ]
    assert [event.type for change in changes for event in change.events] == [
        EventType.WORKLOAD,
        EventType.REMOVED,
    ]


def test_second_subscriber_raises_runtime_error_until_the_first_is_unsubscribed():
    registry, changes = WorkloadRegistry(), []
    registry.subscribe(changes.append)
    with pytest.raises(RuntimeError, match="has a subscriber already"):
        registry.subscribe(lambda _change: None)
    registry.register(workload("a"), now=0)
    assert [change.workload_id for change in changes] == ["a"]
    registry.subscribe(None)
    registry.subscribe(lambda _change: None)


def test_repeated_stop_keeps_the_shorter_grace_period():
    registry = WorkloadRegistry()
    registry.register(workload(), now=0)
    registry.set_desired("wl-1", DesiredState.STOP, now=1, grace_seconds=3600)
    shorter = registry.set_desired("wl-1", DesiredState.STOP, now=2, grace_seconds=5)
    assert (shorter.desired, shorter.grace_seconds, shorter.changed_at) == (DesiredState.STOP, 5, 2)
    assert registry.set_desired("wl-1", DesiredState.STOP, now=3, grace_seconds=60) is shorter
    assert registry.set_desired("wl-1", DesiredState.RUN, now=3) is shorter
    removal = registry.set_desired("wl-1", DesiredState.REMOVE, now=4, grace_seconds=10)
    assert (removal.desired, removal.grace_seconds) == (DesiredState.REMOVE, 5)
    assert (
        registry.set_desired("wl-1", DesiredState.STOP, now=5, grace_seconds=1).grace_seconds == 1
    )


def crash(registry: WorkloadRegistry, attempt: int, code: int = 3) -> None:
    now = 10.0 * attempt
    registry.update("a", Run(PENDING, reason="CreatingContainer"), now=now)
    registry.update("a", Run(RUNNING), now=now + 1)
    registry.restart("a", now=now + 2, restart_at=now + 9, reason="BackOff", exit_code=code)


def test_history_of_a_crash_loop_keeps_and_counts_the_last_attempt():
    registry = WorkloadRegistry()
    registry.register(workload("a"), now=0)
    for attempt in range(20):
        crash(registry, attempt)
    steps = [
        (step.at, step.state, step.reason, step.attempt, step.count)
        for step in registry.history("a")
    ]
    assert steps == [
        (0, PENDING, None, 0, 1),
        (190, PENDING, "CreatingContainer", 19, 1),
        (191, RUNNING, None, 19, 1),
        (192, PENDING, "BackOff", 20, 20),
    ]


def test_history_keeps_transitions_before_a_crash_loop_and_those_that_differ():
    registry = WorkloadRegistry()
    registry.register(workload("a"), now=0)
    for attempt, code in enumerate([1, 3, 3, 3, 4, 3]):
        crash(registry, attempt, code)
    ends = [
        (step.exit_code, step.attempt, step.count)
        for step in registry.history("a")
        if step.reason == "BackOff"
    ]
    assert ends == [(1, 1, 1), (3, 4, 3), (4, 5, 1), (3, 6, 1)]
    runs = [step.attempt for step in registry.history("a") if step.state is RUNNING]
    assert runs == [0, 3, 4, 5]


@pytest.mark.parametrize("state", [WorkloadState.SUCCEEDED, WorkloadState.FAILED])
def test_restart_of_an_ended_workload_raises_illegal_transition(state):
    registry = WorkloadRegistry()
    registry.register(workload("a"), now=0)
    registry.update("a", Run(WorkloadState.RUNNING), now=1)
    registry.update("a", Run(state), now=2)
    before = registry.get("a")
    with pytest.raises(IllegalTransition):
        registry.restart("a", now=3, restart_at=None)
    assert registry.get("a") is before


def test_restart_is_the_next_attempt_or_a_later_one():
    registry = WorkloadRegistry()
    registry.register(workload("a"), now=0)
    assert registry.restart("a", now=1, restart_at=None).attempt == 1
    for attempt in (0, 1):
        with pytest.raises(ValueError, match=f"expected an attempt after 1, got {attempt}"):
            registry.restart("a", now=2, restart_at=None, attempt=attempt)
    assert registry.restart("a", now=3, restart_at=None, attempt=2).attempt == 2


@pytest.mark.parametrize("state", WorkloadState)
def test_rerun_begins_the_next_attempt_from_any_state(state):
    registry = WorkloadRegistry()
    registry.register(workload(labels={"a": "b"}), now=0)
    for step in PATHS[state]:
        registry.update("wl-1", Run(step, address="10.0.0.2", started_at=1.0), now=1)
    entry = registry.rerun("wl-1", now=2, message="m", exit_code=3)
    assert (entry.state, entry.attempt, entry.changed_at) == (PENDING, 1, 2)
    assert (entry.run.reason, entry.run.message, entry.run.exit_code) == ("Restarted", "m", 3)
    assert (entry.run.address, entry.registered_at) == (None, 0)
    assert registry.page(state=PENDING, label=("a", "b")) == [entry]
    assert registry.page(state=FAILED) == registry.page(state=SUCCEEDED) == []
    assert (registry.ended_bytes, registry.removing_bytes) == (0, 0)
    registry.update("wl-1", Run(FAILED), now=3)
    assert registry.ended_bytes > 0


def test_rerun_ends_a_restart_or_a_stop_and_forgets_failures():
    registry = WorkloadRegistry()
    registry.register(workload(), now=0)
    for desired in (DesiredState.RESTART, DesiredState.STOP):
        registry.restart("wl-1", now=1, restart_at=5.0, failures=3)
        registry.set_desired("wl-1", desired, now=2, grace_seconds=4)
        entry = registry.rerun("wl-1", now=3)
        assert (entry.desired, entry.grace_seconds) == (DesiredState.RUN, 0)
        assert (entry.failures, entry.restart_at) == (0, None)


def test_rerun_of_an_attempt_that_has_not_begun_may_keep_its_number():
    registry = WorkloadRegistry()
    registry.register(workload(), now=0)
    registry.restart("wl-1", now=1, restart_at=5.0)
    assert registry.rerun("wl-1", now=2, attempt=1).attempt == 1
    with pytest.raises(ValueError, match="expected attempt 1 or a later one, got 0"):
        registry.rerun("wl-1", now=3, attempt=0)


def test_rerun_of_a_workload_that_is_being_removed_raises_removal_is_final():
    registry = WorkloadRegistry()
    registry.register(workload(), now=0)
    entry = registry.set_desired("wl-1", DesiredState.REMOVE, now=1)
    with pytest.raises(RemovalIsFinal, match="'wl-1' is being removed") as caught:
        registry.rerun("wl-1", now=2)
    assert caught.value.workload_id == "wl-1"
    assert registry.get("wl-1") is entry


def test_latest_desired_state_wins_until_a_removal():
    registry = WorkloadRegistry()
    registry.register(workload(), now=0)
    for desired in (DesiredState.STOP, DesiredState.RESTART, DesiredState.STOP):
        assert registry.set_desired("wl-1", desired, now=1, grace_seconds=9).desired is desired
    removing = registry.set_desired("wl-1", DesiredState.REMOVE, now=2, grace_seconds=9)
    for desired in (DesiredState.RESTART, DesiredState.STOP, DesiredState.RUN):
        assert registry.set_desired("wl-1", desired, now=3, grace_seconds=9) is removing


def test_history_folds_neither_the_first_attempt_nor_one_that_began_otherwise():
    registry = WorkloadRegistry()
    registry.register(workload(), now=0)
    registry.update("wl-1", Run(PENDING, reason="BackOff"), now=1)  # of attempt 0
    registry.restart("wl-1", now=2, restart_at=5.0, reason="BackOff")
    registry.restart("wl-1", now=3, restart_at=5.0, reason="Error")
    registry.restart("wl-1", now=4, restart_at=5.0, reason="Error")
    registry.restart("wl-1", now=5, restart_at=5.0, reason="Error")
    steps = [(step.at, step.reason, step.count) for step in registry.history("wl-1")]
    assert steps[:3] == [(0, None, 1), (1, "BackOff", 1), (2, "BackOff", 1)]
    assert steps[3:] == [(3, "Error", 1), (5, "Error", 2)]


def test_history_whose_oldest_transitions_were_dropped_still_folds_the_last_attempts():
    registry = WorkloadRegistry()
    registry.register(workload("a"), now=0)
    for number in range(1, MAX_HISTORY + 4):
        registry.update("a", Run(PENDING, reason=f"Step{number}"), now=number)
    assert len(registry.history("a")) == MAX_HISTORY
    for attempt in range(4):
        crash(registry, attempt + 10)
    steps = registry.history("a")
    assert len(steps) <= MAX_HISTORY
    assert [step.count for step in steps if step.reason == "BackOff"] == [1, 3]


@pytest.mark.parametrize("desired", [DesiredState.STOP, DesiredState.RESTART, DesiredState.REMOVE])
def test_desired_state_without_a_grace_period_ends_the_run_at_once(desired):
    registry = WorkloadRegistry()
    registry.register(workload(), now=0)
    assert registry.set_desired("wl-1", desired, now=1).grace_seconds == 0
    assert registry.get("wl-1").changed_at == 1


def test_history_folds_no_attempt_that_was_requested():
    registry = WorkloadRegistry()
    registry.register(workload(), now=0)
    for attempt in range(3):
        registry.update("wl-1", Run(RUNNING), now=1)
        registry.restart("wl-1", now=2, restart_at=5.0, reason="BackOff")
        registry.rerun("wl-1", now=3, attempt=attempt + 1)
    reasons = [step.reason for step in registry.history("wl-1")]
    assert reasons == [None, *[None, "BackOff", "Restarted"] * 3]


def test_full_is_the_error_of_the_next_registration():
    registry = WorkloadRegistry(max_workloads=1)
    assert registry.full is None
    registry.register(workload("a"), now=0)
    assert str(registry.full) == "the registry is full: it may hold 1 workloads"


def test_each_change_has_the_next_version():
    registry = WorkloadRegistry()
    versions = [
        registry.register(workload(), now=1.0).version,
        registry.update("wl-1", Run(WorkloadState.RUNNING), now=2.0).version,
        registry.restart("wl-1", now=3.0, restart_at=None).version,
        registry.update("wl-1", Run(PENDING, "Pulling"), now=3.5).version,
        registry.set_desired("wl-1", DesiredState.STOP, now=4.0, grace_seconds=9).version,
        registry.set_desired("wl-1", DesiredState.STOP, now=5.0, grace_seconds=3).version,
        registry.set_desired("wl-1", DesiredState.REMOVE, now=6.0).version,
    ]
    assert versions == list(range(1, 8))
    assert registry.set_desired("wl-1", DesiredState.RUN, now=7.0).version == 7  # nothing changes
    registry.remove("wl-1")
    assert registry.register(workload(), now=8.0).version == 9


def state_of(registry):
    return list(registry), registry.journal.index, registry.journal.after(0, 100)


def assert_refused(change, error, match="expected"):
    """Check that a change of a registry with one workload raises, and changes nothing."""
    registry = WorkloadRegistry()
    registry.register(workload(), now=0.0)
    before = state_of(registry)
    with pytest.raises(error, match=match):
        change(registry)
    assert state_of(registry) == before


@pytest.mark.parametrize("now", ["1", None, True, dt.datetime.now(dt.UTC), math.nan, -1, 1e12])
@pytest.mark.parametrize(
    "change",
    [
        lambda registry, now: registry.register(workload("wl-2"), now=now),
        lambda registry, now: registry.update("wl-1", Run(RUNNING), now=now),
        lambda registry, now: registry.restart("wl-1", now=now, restart_at=1.0),
        lambda registry, now: registry.rerun("wl-1", now=now),
        lambda registry, now: registry.set_desired("wl-1", DesiredState.REMOVE, now=now),
        lambda registry, now: registry.record(EventType.NODE, now=now),
    ],
    ids=["register", "update", "restart", "rerun", "set_desired", "record"],
)
def test_change_at_an_invalid_time_raises_and_changes_nothing(change, now):
    assert_refused(lambda registry: change(registry, now), (TypeError, ValueError), match="time")


@pytest.mark.parametrize(
    "change",
    [
        lambda registry: registry.register(workload(5), now=0.0),
        lambda registry: registry.register(workload("wl-2", labels="team"), now=0.0),
        lambda registry: registry.register(workload("wl-2", labels=0), now=0.0),
        lambda registry: registry.register(workload("wl-2", labels=[]), now=0.0),
        lambda registry: registry.register(workload("wl-2", labels={"team": [1]}), now=0.0),
        lambda registry: registry.register(workload("wl-2", labels={1: "a"}), now=0.0),
        lambda registry: registry.register(workload("wl-2"), now=0.0, trace=5),
        lambda registry: registry.update("wl-1", RUNNING, now=0.0),
        lambda registry: registry.update("wl-1", Run("running"), now=0.0),
        lambda registry: registry.update("wl-1", Run(RUNNING, reason=5), now=0.0),
        lambda registry: registry.update("wl-1", Run(RUNNING, started_at="1"), now=0.0),
        lambda registry: registry.restart("wl-1", now=0.0, restart_at="1"),
        lambda registry: registry.restart("wl-1", now=0.0, restart_at=1.0, failures="1"),
        lambda registry: registry.restart("wl-1", now=0.0, restart_at=1.0, failures=None),
        lambda registry: registry.restart("wl-1", now=0.0, restart_at=1.0, attempt=1.0),
        lambda registry: registry.rerun("wl-1", now=0.0, attempt=False),
        lambda registry: registry.set_desired("wl-1", STOP, now=0.0, grace_seconds=1.5),
        lambda registry: registry.set_desired("wl-1", STOP, now=0.0, grace_seconds=""),
        lambda registry: registry.set_desired("wl-1", STOP, now=0.0, grace_seconds=0.0),
        lambda registry: registry.update("wl-1", Run(RUNNING, message=b"x"), now=0.0),
        lambda registry: registry.update("wl-1", Run(RUNNING, address=5), now=0.0),
        lambda registry: registry.update("wl-1", Run(RUNNING, address=b""), now=0.0),
        lambda registry: registry.update("wl-1", Run(RUNNING, image_digest=5), now=0.0),
        lambda registry: registry.update("wl-1", Run(RUNNING, exit_code="1"), now=0.0),
        lambda registry: registry.update("wl-1", Run(RUNNING, exit_code=False), now=0.0),
        lambda registry: registry.set_desired("wl-1", "stop", now=0.0),
        lambda registry: registry.remove("wl-1", now="1"),
        lambda registry: registry.remove("wl-1", now=0.0, removal="zone"),
        lambda registry: registry.remove("wl-1", now=0.0, log="text"),
        lambda registry: registry.record("node", now=0.0),
        lambda registry: registry.record(EventType.RUNTIME, now=0.0, available="no"),
        lambda registry: registry.record(EventType.RUNTIME, now=0.0, message=5),
        lambda registry: registry.record(EventType.NODE, now=0.0, version=5),
        lambda registry: registry.page(label="team"),
        lambda registry: registry.page(label=("team", 1)),
    ],
)
def test_argument_of_wrong_type_raises_type_error_and_changes_nothing(change):
    assert_refused(change, TypeError)


@pytest.mark.parametrize(
    "change",
    [
        lambda registry: registry.update("wl-1", Run(RUNNING, started_at=1e12), now=0.0),
        lambda registry: registry.restart("wl-1", now=0.0, restart_at=-1.0),
        lambda registry: registry.restart("wl-1", now=0.0, restart_at=1.0, failures=2**31),
        lambda registry: registry.restart("wl-1", now=0.0, restart_at=1.0, attempt=2**31),
        lambda registry: registry.update("wl-1", Run(RUNNING, exit_code=2**31), now=0.0),
        lambda registry: registry.update("wl-1", Run(RUNNING, exit_code=-(2**31) - 1), now=0.0),
        lambda registry: registry.set_desired("wl-1", STOP, now=0.0, grace_seconds=-1),
        lambda registry: registry.set_desired("wl-1", STOP, now=0.0, grace_seconds=2**31),
    ],
)
def test_number_that_a_store_would_not_load_raises_and_changes_nothing(change):
    assert_refused(change, ValueError)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("id", ["", "A", "a_b", "a\0b", "\ud800", "a" * 64]),
        ("image", [None, b"nginx", "", "nginx latest", "\ud800", "a" * 256]),
        ("runtime_class", [None, 5]),
        ("memory_mb", [None, 0, 1.5, "512", True, math.nan, 2**31]),
        ("cpu_millicores", [None, 0, 0.5, "500", 2**63]),
        ("max_restarts", [None, -1, 2**31]),
        ("restart_policy", [None, "never"]),
        ("pull", ["always", 0]),
        ("working_dir", [5, b"/"]),
        ("user", [0]),
        ("command", [None, "sh", b"sh", (1,), {"sh"}]),
        ("args", ["-c", [None]]),
        ("env", [None, "", [], {"A": 1}, {1: "a"}, {"A": ["b"]}]),
    ],
)
def test_workload_that_a_store_would_not_load_is_refused(field, values):
    for value in values:
        refused = dataclasses.replace(workload("wl-2"), **{field: value})
        assert_refused(
            lambda registry, refused=refused: registry.register(refused, now=0.0),
            (TypeError, ValueError),
        )
