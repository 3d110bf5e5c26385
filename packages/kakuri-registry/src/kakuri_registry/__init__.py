"""A registry of workloads and its durable store."""

from warnings import warn

import kakuri_workload

from kakuri_registry._change_log import MAX_CHANGES, Change, ChangedWorkload
from kakuri_registry._check import StoreReport, check_store
from kakuri_registry._durability import Durability
from kakuri_registry._entry import WorkloadEntry
from kakuri_registry._errors import (
    Compacted,
    DuplicateWorkload,
    IllegalTransition,
    RegistryError,
    RegistryFull,
    StoreError,
    StoreFailed,
    StoreFull,
    StoreLocked,
    StoreMismatch,
    StoreTooNew,
    UnknownWorkload,
)
from kakuri_registry._registry import MAX_PAGE, MAX_WORKLOADS, WorkloadRegistry
from kakuri_registry._sizes import entry_size, spec_size
from kakuri_registry._sqlite import RESERVE_BYTES, STORE_FAILPOINTS, VERSION_GAP, SQLiteStore
from kakuri_registry._store import Loaded, MemoryStore, Store, StoreProblem
from kakuri_registry._version import __version__
from kakuri_registry._writer import WRITER_FAILPOINTS, StoreWriter

TYPE_CHECKING = False  # as type checkers know it, without the import of typing

__all__ = [
    "MAX_CHANGES",
    "MAX_PAGE",
    "MAX_WORKLOADS",
    "RESERVE_BYTES",
    "STORE_FAILPOINTS",
    "VERSION_GAP",
    "WRITER_FAILPOINTS",
    "Change",
    "ChangedWorkload",
    "Compacted",
    "DuplicateWorkload",
    "Durability",
    "IllegalTransition",
    "Loaded",
    "MemoryStore",
    "RegistryError",
    "RegistryFull",
    "SQLiteStore",
    "Store",
    "StoreError",
    "StoreFailed",
    "StoreFull",
    "StoreLocked",
    "StoreMismatch",
    "StoreProblem",
    "StoreReport",
    "StoreTooNew",
    "StoreWriter",
    "UnknownWorkload",
    "WorkloadEntry",
    "WorkloadRegistry",
    "__version__",
    "check_store",
    "entry_size",
    "spec_size",
]

for _name in __all__:  # tracebacks show where users import a name from
    _value = globals()[_name]
    if hasattr(_value, "__qualname__") and _value.__module__.startswith(f"{__name__}."):
        _value.__module__ = __name__


if not TYPE_CHECKING:  # with a __getattr__, type checkers accept every name

    def __getattr__(name: str) -> object:
        """Find what was imported from here in commits before the first release."""
        if name not in kakuri_workload.__all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        warn(f"{name} is now in kakuri_workload", DeprecationWarning, stacklevel=2)
        return getattr(kakuri_workload, name)
