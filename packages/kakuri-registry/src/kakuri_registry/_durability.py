"""Whether a workload's state would survive a crash."""

from enum import Enum


class Durability(Enum):
    """Whether a store has the latest change of a workload.

    Attributes:
        is_reportable: Whether the workload's state may be reported and acted on now. True if a
            crash would not undo it (SAVED), or if waiting would not help (BLOCKED), so that
            workloads can be queried and stopped while the disk fails. Wait for `StoreWriter.saved`
            before reporting the state of a workload that is PENDING or UNREGISTERED.
    """

    SAVED = "saved"
    """The store has the registry's latest state of the workload."""

    PENDING = "pending"
    """The latest change is being written or waits to be written."""

    UNREGISTERED = "unregistered"
    """The registration is not in the store yet. If the store refuses it, it is withdrawn."""

    BLOCKED = "blocked"
    """The store accepts no changes at the moment. The latest change is retried until it does."""

    def __init__(self, value: str) -> None:
        # Not a property, because it is read for each status request.
        self.is_reportable: bool = value in ("saved", "blocked")
