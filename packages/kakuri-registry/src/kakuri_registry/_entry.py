"""What the registry knows about one workload."""

from dataclasses import dataclass

from kakuri_workload import DesiredState, Run, Workload, WorkloadState


@dataclass(frozen=True, slots=True)
class ZoneHandle:
    """Where the runtime keeps a workload: the ids that it gave to the sandbox and the container."""

    pod_sandbox_id: str
    container_id: str


@dataclass(frozen=True, slots=True)
class WorkloadEntry:
    """An immutable snapshot of what the registry knows about one workload.

    `version` increases with every change of the registry, so of two snapshots of a workload the one
    with the larger version is the later. Times are seconds since the epoch: `registered_at`,
    `changed_at` and `restart_at` as passed to the registry, `started_at` and `ended_at` by the
    runtime's clock. `attempt` counts the restarts, `failures` those since a run last stayed up.
    `address` is the zone's. `grace_seconds` is how long a workload that is stopped may take to end
    by itself. `image_digest` is that of the image that ran, where it is known.
    """

    workload: Workload
    state: WorkloadState
    version: int
    registered_at: float
    changed_at: float
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None
    handle: ZoneHandle | None = None
    address: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
    attempt: int = 0
    failures: int = 0
    restart_at: float | None = None
    desired: DesiredState = DesiredState.RUN
    grace_seconds: int = 0
    image_digest: str | None = None

    @property
    def run(self) -> Run:
        """The present run, or the last one."""
        return Run(
            self.state,
            self.reason,
            self.message,
            self.exit_code,
            self.address,
            self.started_at,
            self.ended_at,
            self.attempt,
            self.image_digest,
        )
