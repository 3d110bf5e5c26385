"""When a workload whose run has ended is started again."""

from kakuri_registry import RestartPolicy, WorkloadState

FIRST_BACK_OFF = 10.0
"""Seconds before the first restart; each one after it waits twice as long."""

LONGEST_BACK_OFF = 300.0
"""Seconds that a restart waits at most, but for the jitter."""

JITTER = 0.25
"""The part of a back-off that chance adds, so that what failed together isn't started together."""

GOOD_RUN = 600.0
"""Seconds after which a run counts as good: what fails then is a new trouble, not the old one."""

ENDS_OF_A_STOP = (None, "Error", "OOMKilled")
"""The reasons with which a stopped workload ends. A runtime gives the last one to any
container in which something was once killed for memory, so it does not tell that from the kill at
the end of the grace time."""


def is_restarted(policy: RestartPolicy, ended: WorkloadState) -> bool:
    """Tell whether a workload that has ended in this state is to be started again."""
    if policy is RestartPolicy.ALWAYS:
        return True
    return policy is RestartPolicy.ON_FAILURE and ended is WorkloadState.FAILED


def back_off(failures: int, chance: float) -> float:
    """Give the seconds to wait after so many runs in a row that were not good (at least one).

    `chance` is a random number from 0 to 1.
    """
    # Beyond the fifth the doubling has no effect; the bound keeps the power small.
    delay = min(FIRST_BACK_OFF * 2.0 ** min(failures - 1, 5), LONGEST_BACK_OFF)
    return delay * (1 + JITTER * chance)
