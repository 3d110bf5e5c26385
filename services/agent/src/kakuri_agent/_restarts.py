"""When a workload whose run has ended is restarted, and after which delay."""

from kakuri_workload import RestartPolicy, WorkloadState

FIRST_BACK_OFF = 10.0
"""Seconds before the first restart; doubled for each further one."""

LONGEST_BACK_OFF = 300.0
"""Longest delay of a restart in seconds, without the jitter."""

MAX_JITTER = 0.25
"""Largest random addition to a back-off, as a fraction of it.

Workloads that failed together are then not restarted together."""

STABLE_SECONDS = 600.0
"""Seconds that a run has to last to reset the back-off: a later failure has another cause."""

STOP_REASONS = (None, "Error", "OOMKilled")
"""The reasons with which a stopped workload ends.

Runtimes report OOMKilled for every container in which a process was once killed for memory, so it
does not exclude a kill at the end of the grace period."""


def is_restarted(policy: RestartPolicy, ended: WorkloadState) -> bool:
    """Return whether a workload whose run ended in this state is restarted."""
    if policy is RestartPolicy.ALWAYS:
        return True
    return policy is RestartPolicy.ON_FAILURE and ended is WorkloadState.FAILED


def back_off(failures: int, jitter: float) -> float:
    """Return the delay in seconds after this many short runs in a row (at least one).

    `jitter` is a random number from 0 to 1.
    """
    # LONGEST_BACK_OFF is reached by the fifth doubling; the bound keeps the power small.
    delay = min(FIRST_BACK_OFF * 2.0 ** min(failures - 1, 5), LONGEST_BACK_OFF)
    return delay * (1 + MAX_JITTER * jitter)
