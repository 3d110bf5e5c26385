"""Workloads, their state machine, and the registry that holds them."""

from kakuri_registry._change_log import MAX_CHANGES, Change, ChangedWorkload
from kakuri_registry._check import StoreReport, check_store
from kakuri_registry._document import MAX_DOCUMENT_BYTES, MAX_STRING_BYTES, oversized_strings
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
from kakuri_registry._folder import open_private_folder
from kakuri_registry._grammar import (
    IMAGE_REFERENCE,
    LABEL_KEY,
    WORKLOAD_ID,
    MaxLength,
    Range,
    Text,
)
from kakuri_registry._history import MAX_HISTORY, History, Transition
from kakuri_registry._registry import MAX_PAGE, MAX_WORKLOADS, WorkloadRegistry
from kakuri_registry._sizes import entry_size, spec_size
from kakuri_registry._sqlite import RESERVE_BYTES, STORE_FAILPOINTS, VERSION_GAP, SQLiteStore
from kakuri_registry._state import TRANSITIONS, WorkloadState
from kakuri_registry._store import Loaded, MemoryStore, Store, StoreProblem
from kakuri_registry._text import printable
from kakuri_registry._version import __version__
from kakuri_registry._workload import (
    MAX_RESTARTS,
    Arguments,
    Environment,
    ImageReference,
    Labels,
    PullPolicy,
    Quantity,
    RestartPolicy,
    RuntimeClass,
    User,
    Wanted,
    WorkingDirectory,
    Workload,
    WorkloadEntry,
    WorkloadId,
    ZoneHandle,
)
from kakuri_registry._writer import WRITER_FAILPOINTS, StoreWriter
from kakuri_registry._zone import (
    DEFAULT_RUNTIME_CLASS,
    MAX_SPEC_BYTES,
    LogEvent,
    LogGrown,
    LogsWatched,
    RuntimeHealth,
    ZoneChanged,
    ZoneEvent,
    ZoneGone,
    ZonesListed,
    ZoneSpec,
    ZoneStatus,
)

__all__ = [
    "DEFAULT_RUNTIME_CLASS",
    "IMAGE_REFERENCE",
    "LABEL_KEY",
    "MAX_CHANGES",
    "MAX_DOCUMENT_BYTES",
    "MAX_HISTORY",
    "MAX_PAGE",
    "MAX_RESTARTS",
    "MAX_SPEC_BYTES",
    "MAX_STRING_BYTES",
    "MAX_WORKLOADS",
    "RESERVE_BYTES",
    "STORE_FAILPOINTS",
    "TRANSITIONS",
    "VERSION_GAP",
    "WORKLOAD_ID",
    "WRITER_FAILPOINTS",
    "Arguments",
    "Change",
    "ChangedWorkload",
    "Compacted",
    "DuplicateWorkload",
    "Environment",
    "History",
    "IllegalTransition",
    "ImageReference",
    "Labels",
    "Loaded",
    "LogEvent",
    "LogGrown",
    "LogsWatched",
    "MaxLength",
    "MemoryStore",
    "PullPolicy",
    "Quantity",
    "Range",
    "RegistryError",
    "RegistryFull",
    "RestartPolicy",
    "RuntimeClass",
    "RuntimeHealth",
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
    "Text",
    "Transition",
    "UnknownWorkload",
    "User",
    "Wanted",
    "WorkingDirectory",
    "Workload",
    "WorkloadEntry",
    "WorkloadId",
    "WorkloadRegistry",
    "WorkloadState",
    "ZoneChanged",
    "ZoneEvent",
    "ZoneGone",
    "ZoneHandle",
    "ZoneSpec",
    "ZoneStatus",
    "ZonesListed",
    "__version__",
    "check_store",
    "entry_size",
    "open_private_folder",
    "oversized_strings",
    "printable",
    "spec_size",
]

for _name in __all__:  # tracebacks show where users import a name from
    _value = globals()[_name]
    if hasattr(_value, "__qualname__") and _value.__module__.startswith(f"{__name__}."):
        _value.__module__ = __name__
