"""The limits of the process (setrlimit(2))."""

import resource

from kakuri_daemon._errors import DaemonError

MIN_DESCRIPTORS = 64
"""Descriptors that a daemon needs: about 20 of its own, the rest for its clients. With fewer than
its own, libuv and grpcio abort the process."""


def raise_descriptor_limit() -> None:
    """Raise the soft limit of descriptors to the hard limit.

    The usual soft limit of 1024 is for programs that call select(2): idle connections would use
    it up, and leave no descriptor for a connection to the next daemon.

    Raises:
        DaemonError: The hard limit is less than MIN_DESCRIPTORS.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < MIN_DESCRIPTORS:
        raise DaemonError(
            f"the limit of open files is {hard}, but a daemon needs at least {MIN_DESCRIPTORS}: "
            "raise it (ulimit -n, LimitNOFILE=)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def forbid_core_files() -> None:
    """Forbid core files, which would contain the variables of every workload."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def exhausted_limit(error: MemoryError | RuntimeError) -> str | None:
    """Return what the process has run out of; None if the error has another reason."""
    if isinstance(error, MemoryError):
        return "no memory is left (ulimit -v, LimitAS=)"
    # CPython raises a plain RuntimeError for this, so only the text identifies it.
    if str(error) == "can't start new thread":
        return (
            f"{error}: the limit on processes (ulimit -u, TasksMax=) or on address space "
            "(ulimit -v, LimitAS=) is reached"
        )
    return None
