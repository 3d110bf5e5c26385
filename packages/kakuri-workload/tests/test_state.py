from itertools import product

import pytest
from kakuri_workload import DESIRED_TRANSITIONS, TRANSITIONS, DesiredState, WorkloadState

LEGAL = {
    ("pending", "running"),
    ("pending", "failed"),
    ("running", "succeeded"),
    ("running", "failed"),
}


@pytest.mark.parametrize(("before", "after"), list(product(WorkloadState, repeat=2)))
def test_state_can_become_another_only_along_the_table(before, after):
    assert before.can_become(after) == ((before.value, after.value) in LEGAL)


def test_state_without_transitions_is_terminal():
    terminal = {state for state in WorkloadState if state.is_terminal}
    assert terminal == {WorkloadState.SUCCEEDED, WorkloadState.FAILED}


def test_transitions_cannot_be_changed():
    with pytest.raises(TypeError):
        TRANSITIONS[WorkloadState.FAILED] = frozenset()


REQUESTED = {
    ("run", "restart"),
    ("run", "stop"),
    ("run", "remove"),
    ("restart", "stop"),
    ("restart", "remove"),
    ("stop", "restart"),
    ("stop", "remove"),
}


@pytest.mark.parametrize(("before", "after"), list(product(DesiredState, repeat=2)))
def test_desired_state_can_become_another_only_along_its_table(before, after):
    assert before.can_become(after) == ((before.value, after.value) in REQUESTED)


def test_removal_cannot_become_any_other_desired_state():
    assert DESIRED_TRANSITIONS[DesiredState.REMOVE] == frozenset()
