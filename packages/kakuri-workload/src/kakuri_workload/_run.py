"""The observed state of one run of a workload."""

from dataclasses import dataclass

from kakuri_workload._fast_init import fast_init
from kakuri_workload._state import WorkloadState

# Globals, because CPython 3.11 looks up members of enums slowly.
_PENDING, _RUNNING = WorkloadState.PENDING, WorkloadState.RUNNING


@fast_init
@dataclass(frozen=True, slots=True)
class Run:
    """The observed state of a workload's current or last run.

    Attributes:
        state: The state.
        reason: A short code for the state, such as `OOMKilled`.
        message: The full message of the runtime or the image registry.
        exit_code: The exit code of its process, if it has ended.
        address: The zone's address.
        started_at: When its process started, in seconds since the epoch by the runtime's clock.
        ended_at: When its process ended, by the same clock.
        attempt: The number of restarts before it.
        image_digest: The digest of the image that it was created from.
    """

    state: WorkloadState
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None
    address: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
    attempt: int = 0
    image_digest: str | None = None

    def after(self, before: "Run") -> "Run":
        """Complete this observation with the previous one of the same workload.

        A runtime does not report every field every time; a stopped zone has no address, for
        example. Fields that are None keep their previous values, except that the times and the
        digest of the previous attempt are dropped when a run begins. The attempt is that of
        `before`.

        Args:
            before: The previous observation.
        """
        begins = before.state is _PENDING and self.state is _RUNNING
        if begins and self.attempt == before.attempt and (self.address or not before.address):
            return self  # nothing to complete, as at the start of most runs
        known = _NOTHING if begins else before
        # The constructor, because dataclasses.replace takes three times as long.
        return Run(
            self.state,
            self.reason,
            self.message,
            self.exit_code,
            self.address or before.address,
            known.started_at if self.started_at is None else self.started_at,
            known.ended_at if self.ended_at is None else self.ended_at,
            before.attempt,
            self.image_digest or known.image_digest,
        )


_NOTHING = Run(_PENDING)
