"""How much of a workload's state would survive a crash."""

from enum import Enum


class Durability(Enum):
    """Whether a store has the latest change of a workload.

    Attributes:
        is_reportable: Whether the workload's state may be reported and acted upon now: a crash
            would not undo it (SAVED), or waiting is of no use (BLOCKED), so that workloads can be
            queried and stopped while the disk fails. The state of a workload that is PENDING or
            UNREGISTERED may be reported after `StoreWriter.saved`.
    """

    SAVED = "saved"
    """The store has everything that the registry knows of the workload."""

    PENDING = "pending"
    """The latest change is being written, or will be."""

    UNREGISTERED = "unregistered"
    """The registration is not in the store. If the store refuses it, it is withdrawn."""

    BLOCKED = "blocked"
    """The store accepts no changes at present. The latest change is retried until it does."""

    def __init__(self, value: str) -> None:
        # Not a property: it is asked for at each request for a status.
        self.is_reportable: bool = value in ("saved", "blocked")
