"""The zones of one node: strongly isolated containers on a CRI runtime.

`zone_node` yields a ZoneNode, which has every operation on zones, in the process that calls it. The
runtime's objects carry labels that identify them, so nothing is stored but logs.
"""

from kakuri_zones._assembly import zone_node
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
from kakuri_zones._image_collection import CollectionLimits
from kakuri_zones._monitor import MonitorTimes
from kakuri_zones._node import ZoneNode
from kakuri_zones._pulling import PullLimits
from kakuri_zones._removal import RetryTimes
from kakuri_zones._settings import DEFAULT_HANDLERS, DEFAULT_LOG_DIR, Settings
from kakuri_zones._version import __version__
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
    "ZoneConflict",
    "ZoneError",
    "ZoneNode",
    "__version__",
    "error_code",
    "zone_node",
]

for _name in __all__:  # tracebacks show where users import a name from
    _value = globals()[_name]
    if hasattr(_value, "__qualname__") and _value.__module__.startswith(f"{__name__}."):
        _value.__module__ = __name__
