"""A registry of workloads and its durable store.

Names are imported on first use, so that only a durable store loads SQLite.
"""

from importlib import import_module
from sys import modules
from warnings import warn

import kakuri_workload

from kakuri_registry._version import __version__

TYPE_CHECKING = False  # typing.TYPE_CHECKING without importing typing
if TYPE_CHECKING:
    from kakuri_registry._change import Change
    from kakuri_registry._check import StoreReport, check_store
    from kakuri_registry._durability import Durability
    from kakuri_registry._entry import WorkloadEntry
    from kakuri_registry._errors import (
        Compacted,
        DuplicateWorkload,
        IllegalTransition,
        RegistryError,
        RegistryFull,
        RemovalIsFinal,
        StoreError,
        StoreFailed,
        StoreFull,
        StoreLocked,
        StoreMismatch,
        StoreTooNew,
        UnknownWorkload,
    )
    from kakuri_registry._events import event_size
    from kakuri_registry._journal import MAX_EVENT_BYTES, MAX_EVENTS, EventJournal
    from kakuri_registry._publisher import Persistence
    from kakuri_registry._registry import WorkloadRegistry
    from kakuri_registry._registry_reader import MAX_PAGE, MAX_WORKLOADS
    from kakuri_registry._sizes import entry_size, spec_size
    from kakuri_registry._sqlite import RESERVE_BYTES, STORE_FAILPOINTS, SQLiteStore
    from kakuri_registry._store import (
        VERSION_GAP,
        EphemeralStore,
        Loaded,
        MemoryStore,
        Store,
        StoreProblem,
    )
    from kakuri_registry._tombstones import (
        MAX_TOMBSTONE_BYTES,
        MAX_TOMBSTONES,
        NewTombstone,
        Tombstone,
    )
    from kakuri_registry._writer import WRITER_FAILPOINTS, StoreWriter

__all__ = [
    "MAX_EVENTS",
    "MAX_EVENT_BYTES",
    "MAX_PAGE",
    "MAX_TOMBSTONES",
    "MAX_TOMBSTONE_BYTES",
    "MAX_WORKLOADS",
    "RESERVE_BYTES",
    "STORE_FAILPOINTS",
    "VERSION_GAP",
    "WRITER_FAILPOINTS",
    "Change",
    "Compacted",
    "DuplicateWorkload",
    "Durability",
    "EphemeralStore",
    "EventJournal",
    "IllegalTransition",
    "Loaded",
    "MemoryStore",
    "NewTombstone",
    "Persistence",
    "RegistryError",
    "RegistryFull",
    "RemovalIsFinal",
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
    "Tombstone",
    "UnknownWorkload",
    "WorkloadEntry",
    "WorkloadRegistry",
    "__version__",
    "check_store",
    "entry_size",
    "event_size",
    "spec_size",
]

_MODULES = {
    "_change": ("Change",),
    "_check": (
        "StoreReport",
        "check_store",
    ),
    "_durability": ("Durability",),
    "_entry": ("WorkloadEntry",),
    "_errors": (
        "Compacted",
        "DuplicateWorkload",
        "IllegalTransition",
        "RegistryError",
        "RegistryFull",
        "RemovalIsFinal",
        "StoreError",
        "StoreFailed",
        "StoreFull",
        "StoreLocked",
        "StoreMismatch",
        "StoreTooNew",
        "UnknownWorkload",
    ),
    "_events": ("event_size",),
    "_journal": (
        "MAX_EVENTS",
        "MAX_EVENT_BYTES",
        "EventJournal",
    ),
    "_publisher": ("Persistence",),
    "_registry": ("WorkloadRegistry",),
    "_registry_reader": ("MAX_PAGE", "MAX_WORKLOADS"),
    "_sizes": (
        "entry_size",
        "spec_size",
    ),
    "_sqlite": (
        "RESERVE_BYTES",
        "STORE_FAILPOINTS",
        "SQLiteStore",
    ),
    "_store": (
        "VERSION_GAP",
        "EphemeralStore",
        "Loaded",
        "MemoryStore",
        "Store",
        "StoreProblem",
    ),
    "_tombstones": (
        "MAX_TOMBSTONES",
        "MAX_TOMBSTONE_BYTES",
        "NewTombstone",
        "Tombstone",
    ),
    "_writer": (
        "WRITER_FAILPOINTS",
        "StoreWriter",
    ),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


if not TYPE_CHECKING:  # hidden: with it, type checkers accept any name

    def __getattr__(name: str) -> object:
        if name in kakuri_workload.__all__:
            # Exported by this package before the first release.
            warn(f"{name} is now in kakuri_workload", DeprecationWarning, stacklevel=2)
            return getattr(kakuri_workload, name)
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import_module(f"{__name__}.{_HOMES[name]}")
        _publish()
        return globals()[name]


def _publish() -> None:
    """Bind the names of each loaded module here, so that tracebacks show the public name."""
    for name, home in _HOMES.items():
        value = getattr(modules.get(f"{__name__}.{home}"), name, None)
        if value is not None:
            globals()[name] = value
            if hasattr(value, "__qualname__") and value.__module__.startswith(f"{__name__}."):
                value.__module__ = __name__


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
