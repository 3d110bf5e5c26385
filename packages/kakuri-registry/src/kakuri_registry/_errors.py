"""What can go wrong with a registry.

RegistryError
├── DuplicateWorkload   the id is taken (also a ValueError)
├── UnknownWorkload     no workload has that id (also a KeyError)
├── IllegalTransition   the state machine has no such step (also a ValueError)
└── RegistryFull        the limit on the number of workloads is reached
"""

from kakuri_registry._state import WorkloadState


class RegistryError(Exception):
    """The base of all errors of this package."""


class DuplicateWorkload(RegistryError, ValueError):
    """A workload is already registered under this id."""

    def __init__(self, workload_id: str) -> None:
        super().__init__(f"workload {workload_id!r} is already registered")
        self.workload_id = workload_id


class UnknownWorkload(RegistryError, KeyError):
    """No workload is registered under this id."""

    def __init__(self, workload_id: str) -> None:
        super().__init__(f"no workload {workload_id!r} is registered")
        self.workload_id = workload_id

    def __str__(self) -> str:  # KeyError would print the repr of its argument
        return str(self.args[0])


class IllegalTransition(RegistryError, ValueError):
    """The state machine has no step from the present state to the wanted one."""

    def __init__(self, workload_id: str, current: WorkloadState, wanted: WorkloadState) -> None:
        possible = ", ".join(state.value for state in WorkloadState if current.can_become(state))
        super().__init__(
            f"workload {workload_id!r} can't go from {current.value} to {wanted.value}; "
            f"expected {possible or 'no change, the state is terminal'}"
        )
        self.workload_id = workload_id
        self.current = current
        self.wanted = wanted


class RegistryFull(RegistryError):
    """The registry holds as many workloads as it may."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the registry is full: it may hold {limit} workloads")
        self.limit = limit
