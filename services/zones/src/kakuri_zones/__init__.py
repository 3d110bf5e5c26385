"""The zones of one node: strongly isolated containers on a CRI runtime.

`zone_node` yields a ZoneNode, which has every operation on zones, in the process that calls it. The
runtime's objects carry labels that identify them, so nothing is stored but logs.

Names are imported when they are first used: commands read the settings without loading a client of
the CRI.
"""

from kakuri_daemon import lazy_names

from kakuri_zones._version import __version__

TYPE_CHECKING = False  # as type checkers know it, without the import of typing
if TYPE_CHECKING:
    from kakuri_zones._assembly import zone_node
    from kakuri_zones._counts import CallCounts
    from kakuri_zones._errors import (
        NodeLocked,
        NodeUnavailable,
        PullFailed,
        StartCancelled,
        StartFailed,
        UnknownRuntimeClass,
        UnknownZone,
        ZoneConflict,
        ZoneError,
        error_code,
    )
    from kakuri_zones._health import Condition, Health, OptionalCalls, RuntimeInfo
    from kakuri_zones._node import ZoneNode
    from kakuri_zones._settings import (
        DEFAULT_HANDLERS,
        DEFAULT_LOG_DIR,
        CollectionLimits,
        MonitorTimes,
        PullLimits,
        RetryTimes,
        Settings,
    )
    from kakuri_zones._waiting import WhileWaiting
    from kakuri_zones.logs import (
        LogCursorError,
        LogError,
        LogNameError,
        LogStorageError,
        UnknownLog,
    )

__all__ = [
    "DEFAULT_HANDLERS",
    "DEFAULT_LOG_DIR",
    "CallCounts",
    "CollectionLimits",
    "Condition",
    "Health",
    "LogCursorError",
    "LogError",
    "LogNameError",
    "LogStorageError",
    "MonitorTimes",
    "NodeLocked",
    "NodeUnavailable",
    "OptionalCalls",
    "PullFailed",
    "PullLimits",
    "RetryTimes",
    "RuntimeInfo",
    "Settings",
    "StartCancelled",
    "StartFailed",
    "UnknownLog",
    "UnknownRuntimeClass",
    "UnknownZone",
    "WhileWaiting",
    "ZoneConflict",
    "ZoneError",
    "ZoneNode",
    "__version__",
    "error_code",
    "zone_node",
]

_MODULES = {
    "_assembly": ("zone_node",),
    "_counts": ("CallCounts",),
    "_errors": (
        "NodeLocked",
        "NodeUnavailable",
        "PullFailed",
        "StartCancelled",
        "StartFailed",
        "UnknownRuntimeClass",
        "UnknownZone",
        "ZoneConflict",
        "ZoneError",
        "error_code",
    ),
    "_health": (
        "Condition",
        "Health",
        "OptionalCalls",
        "RuntimeInfo",
    ),
    "_node": ("ZoneNode",),
    "_settings": (
        "DEFAULT_HANDLERS",
        "DEFAULT_LOG_DIR",
        "CollectionLimits",
        "MonitorTimes",
        "PullLimits",
        "RetryTimes",
        "Settings",
    ),
    "_waiting": ("WhileWaiting",),
    "logs": (
        "LogCursorError",
        "LogError",
        "LogNameError",
        "LogStorageError",
        "UnknownLog",
    ),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


if not TYPE_CHECKING:  # with a __getattr__, type checkers accept every name
    __getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
