"""How a workload's present run is doing."""

from dataclasses import dataclass

from kakuri_workload._state import WorkloadState


@dataclass(frozen=True, slots=True)
class Run:
    """The observed state of one run of a workload: the present one, or the last one.

    Attributes:
        state: its state.
        reason: a short code for the state, such as `OOMKilled`.
        message: what a runtime or registry reported about it, at length.
        exit_code: the exit code of its process, once it has ended.
        address: the zone's address.
        started_at: when its process started, in seconds since the epoch by the runtime's clock.
        ended_at: when its process ended, by the same clock.
        attempt: the number of restarts before it.
        image_digest: the digest of the image that it was created from.

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
