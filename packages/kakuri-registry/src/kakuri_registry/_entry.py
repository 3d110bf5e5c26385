"""A registry's entry for one workload."""

from dataclasses import dataclass

from kakuri_workload import DesiredState, Run, Workload, WorkloadState, fast_init


@fast_init
@dataclass(frozen=True, slots=True)
class WorkloadEntry:
    """An immutable snapshot of a workload in a registry.

    Times are seconds since the epoch, as passed to the registry.

    Attributes:
        workload: The workload as submitted.
        run: The observed state of its current run, or of the last run while it waits for the next.
        version: The registry's version after the change that created this snapshot. It increases
            with every change, so of two snapshots, the one with the larger version is the later.
        registered_at: When it was registered.
        changed_at: When this snapshot was created.
        failures: The number of failed runs since a run last stayed up.
        restart_at: When the next run is due, while the workload waits for it.
        desired: The desired state.
        grace_seconds: Seconds that the workload has to end by itself when it is stopped.
        trace: The trace of the latest request that changed the desired state; later runs belong to
            it.
    """

    workload: Workload
    run: Run
    version: int
    registered_at: float
    changed_at: float
    failures: int = 0
    restart_at: float | None = None
    desired: DesiredState = DesiredState.RUN
    grace_seconds: int = 0
    trace: str | None = None

    @property
    def state(self) -> WorkloadState:
        """The observed state of the run."""
        return self.run.state

    @property
    def attempt(self) -> int:
        """The number of restarts before the run."""
        return self.run.attempt
