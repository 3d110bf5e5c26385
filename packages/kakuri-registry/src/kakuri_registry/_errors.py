"""The errors of a registry and of its store.

RegistryError
├── DuplicateWorkload   the id is taken (also a ValueError)
├── UnknownWorkload     no workload has that id (also a KeyError)
├── IllegalTransition   the state machine has no such transition (also a ValueError)
├── RemovalIsFinal      the workload is being removed (also a ValueError)
├── RegistryFull        the limit on the number of workloads is reached
├── Compacted           these events are no longer kept: list again (also a LookupError)
└── StoreError          a store can't be opened, read or written
    ├── StoreFull       there is no room for it
    ├── StoreLocked     another process has it open
    ├── StoreMismatch   the log next to the database belongs to another run
    ├── StoreTooNew     a later version of this package has written it
    └── StoreFailed     anything else: the file system, the disk, a foreign file
"""

from kakuri_workload import CopyableError, WorkloadState


class RegistryError(CopyableError):
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
    """The state machine has no transition from the current state to the requested one."""

    def __init__(self, workload_id: str, current: WorkloadState, target: WorkloadState) -> None:
        possible = " or ".join(state.value for state in WorkloadState if current.can_become(state))
        why = f"expected {possible}" if possible else f"{current.value} is a terminal state"
        super().__init__(
            f"workload {workload_id!r} can't go from {current.value} to {target.value}: {why}"
        )
        self.workload_id = workload_id
        self.current = current
        self.target = target


class RemovalIsFinal(RegistryError, ValueError):
    """A workload that is being removed can't run again."""

    def __init__(self, workload_id: str) -> None:
        super().__init__(f"workload {workload_id!r} is being removed")
        self.workload_id = workload_id


class RegistryFull(RegistryError):
    """The registry has reached its maximum number of workloads."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the registry is full: it may hold {limit} workloads")
        self.limit = limit


class Compacted(RegistryError, LookupError):
    """The events after an index are no longer kept, or the index is in the future.

    The reader has to list the workloads again. etcd uses the same term.

    Attributes:
        index: The requested index.
        oldest: The smallest index from which a reader can continue.
        newest: The current index.
    """

    def __init__(self, index: int, oldest: int, newest: int) -> None:
        super().__init__(
            f"expected an index from {oldest} to {newest} to continue from, got {index}"
        )
        self.index = index
        self.oldest = oldest
        self.newest = newest


class StoreError(RegistryError):
    """A store can't be opened, read or written."""


class StoreFull(StoreError):
    """There is no room for a change. Known workloads can still be read, stopped and removed."""


class StoreLocked(StoreError):
    """Another process has the store open."""


class StoreMismatch(StoreError):
    """The log next to a database belongs to another run, as after an incomplete restore."""

    def __init__(self, path: str, log: str) -> None:
        super().__init__(
            f"the log {log!r} does not belong to the database {path!r}: a backup was probably "
            "restored next to the log of a later run; remove the log to continue with the database "
            "as it is, or restore the database that belongs to the log"
        )
        self.path = path
        self.log = log


class StoreTooNew(StoreError):
    """A later version of this package has written the store."""

    def __init__(self, path: str, expected: int, got: int) -> None:
        super().__init__(
            f"expected a database of schema {expected} or earlier in {path!r}, got schema {got}: "
            "a later version has written it"
        )
        self.path = path
        self.expected = expected
        self.got = got


class StoreFailed(StoreError):
    """The store could not be opened, read or written for another reason."""


def store_error(error: BaseException) -> StoreError:
    """Return an exception that a store raised, as a StoreError."""
    return error if isinstance(error, StoreError) else StoreFailed(f"the store failed: {error!r}")
