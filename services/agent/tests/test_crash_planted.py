"""Tests that the crash harness finds faults: one at a time is planted in the code."""

import pytest
from kakuri_agent import Agent, Capacity, Reconciler, _agent
from kakuri_registry import Durability, EventJournal, StoreWriter, WorkloadRegistry
from kakuri_rpc import Status, StopWorkload
from kakuri_workload import DesiredState, Run

from . import crash_harness
from .crash_harness import System
from .crash_history import Violation

FIRST_SEED = 406
"""Seed of the first scenario: one from which each fault is found within a few scenarios."""

FIRST_CRI_SEED = 425
"""Seed of the first scenario with a container runtime: one that finds partially created zones."""

MAX_SCENARIOS = 400
"""Scenarios that may run before the fault is found."""


class HastyWriter(StoreWriter):
    """Reports every change as saved before it is."""

    def durability(self, workload_id):
        return Durability.SAVED

    async def saved(self, workload_id):
        return

    def when_saved(self, workload_id, on_saved):
        on_saved(None)


class AlarmedWriter(StoreWriter):
    """Treats a store that refuses new workloads as one that accepts nothing."""

    def durability(self, workload_id):
        durability = super().durability(workload_id)
        if durability is Durability.PENDING and self.registration_error is not None:
            return Durability.BLOCKED
        return durability


class RemovingReconciler(Reconciler):
    """Removes a zone before its removal is on disk."""

    def _remove(self, entry, zone):
        self._runtime.remove(entry.workload.id, entry.grace_seconds)


class ForgetfulAgent(Agent):
    """Stops workloads without recording the desired state."""

    def handle(self, request):
        entry = self._registry.get(request.id) if isinstance(request, StopWorkload) else None
        if entry is None:
            return super().handle(request)
        self._runtime.stop(request.id, request.grace_seconds)
        return Status.of(request.id, entry.run)


class TalkativeAgent(Agent):
    """Reports states that are not on disk."""

    def _report(self, workload_id, build):
        return build(workload_id)


class RashReconciler(Reconciler):
    """Stops workloads before the request to stop them is on disk."""

    def _may_end(self, workload_id):
        return True


class LeakyCapacity(Capacity):
    """Never releases capacity."""

    def release(self, workload_id):
        self._reserved.pop(workload_id, None)


class UnboundRegistry(WorkloadRegistry):
    """Resets each workload's attempts when it is loaded."""

    @classmethod
    def load(cls, loaded, **limits):
        registry = super().load(loaded, **limits)
        for entry in registry:
            if entry.attempt and not entry.state.is_terminal:
                registry._entries[entry.workload.id] = type(entry)(
                    entry.workload, Run(entry.state), entry.version, entry.registered_at,
                    entry.changed_at, desired=entry.desired,
                )  # fmt: skip
        return registry


def forget_removals(
    self,
    workload_id,
    desired,
    *,
    now,
    grace_seconds=0,
    trace=None,
    set_desired=WorkloadRegistry.set_desired,
):
    if desired is DesiredState.REMOVE:
        return self.get(workload_id)
    return set_desired(
        self, workload_id, desired, now=now, grace_seconds=grace_seconds, trace=trace
    )


def publish_at_once(self, event, *, is_new=False, append=EventJournal.append):
    """Publish an event before it is on disk."""
    append(self, event, is_new=is_new)
    self.stored((event,))


def run_scenarios(directory, first=FIRST_SEED, runtime="sidecar"):
    for seed in range(first, first + MAX_SCENARIOS):
        (directory / str(seed)).mkdir()
        # Busy clients and frequent faults of the disk find faults sooner.
        System(directory / str(seed), seed, pace=0.1, healthy_seconds=3.0, runtime=runtime).run()


def leave_partially_created(self, zones):
    """Remove no leftovers of interrupted starts."""


def test_harness_finds_partially_created_zones_that_are_not_removed(monkeypatch, crash_directory):
    monkeypatch.setattr("kakuri_zones._zones.Zones.reconcile", leave_partially_created)
    with pytest.raises(Violation, match="does not converge"):
        run_scenarios(crash_directory, FIRST_CRI_SEED, runtime="cri")


@pytest.mark.parametrize(
    ("owner", "name", "fault"),
    [
        (crash_harness, "StoreWriter", HastyWriter),
        (crash_harness, "StoreWriter", AlarmedWriter),
        (crash_harness, "Agent", ForgetfulAgent),
        (crash_harness, "Agent", TalkativeAgent),
        (_agent, "Reconciler", RashReconciler),
        (_agent, "Reconciler", RemovingReconciler),
        (crash_harness, "Capacity", LeakyCapacity),
        (crash_harness, "WorkloadRegistry", UnboundRegistry),
        (WorkloadRegistry, "set_desired", forget_removals),
        (EventJournal, "append", publish_at_once),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_harness_finds_a_planted_fault(monkeypatch, crash_directory, owner, name, fault):
    monkeypatch.setattr(owner, name, fault)
    with pytest.raises(Violation, match=r"seed \d\d\d: "):
        run_scenarios(crash_directory)
