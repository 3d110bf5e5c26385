"""Tests of what the crash harness accepts as replies of an agent that never died."""

import pytest
from kakuri_registry import WorkloadRegistry
from kakuri_rpc import GetStatus, RemoveWorkload, StartWorkload, State, Status
from kakuri_workload.testing import workload

from .crash_history import ClientHistory, Violation

EARLIER = Status("w", State.PENDING, attempt=1)


@pytest.fixture
def registry():
    """Return a registry with a workload that was submitted after another one of its id."""
    registry = WorkloadRegistry()
    registry.register(workload("w", labels={"gen": "second"}), now=1.0)
    return registry


@pytest.fixture
def history():
    """Return a history in which the earlier workload was removed."""
    history = ClientHistory()
    history.end(history.begin(RemoveWorkload("w"), "w"), EARLIER)
    return history


def test_reply_about_an_earlier_workload_during_a_start_is_accepted(history, registry):
    start = history.begin(StartWorkload(workload("w")), "w", "second")
    history.end(history.begin(GetStatus("w"), "w"), EARLIER)  # the start waits for the removal
    history.end(start, Status("w", State.PENDING))
    history.check_registry(registry)


def test_reply_about_an_earlier_workload_after_a_start_is_a_violation(history, registry):
    history.end(
        history.begin(StartWorkload(workload("w")), "w", "second"), Status("w", State.PENDING)
    )
    history.end(history.begin(GetStatus("w"), "w"), EARLIER)
    with pytest.raises(Violation, match=r"w was reported at \(1, 0\) and is at \(0, 0\)"):
        history.check_registry(registry)
