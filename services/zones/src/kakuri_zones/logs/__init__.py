"""The logs that containers write: where they are, how they are read, rotated and removed.

The runtime writes the files in the format of the CRI. Only `LogStore` accesses them; it returns the
output of the container without the format.
"""

from kakuri_zones.logs._ended import EndedLogs, TrimmedLog
from kakuri_zones.logs._errors import (
    LogCursorError,
    LogError,
    LogNameError,
    LogStorageError,
    UnknownLog,
)
from kakuri_zones.logs._files import LogLocation
from kakuri_zones.logs._store import LogStore

__all__ = [
    "EndedLogs",
    "LogCursorError",
    "LogError",
    "LogLocation",
    "LogNameError",
    "LogStorageError",
    "LogStore",
    "TrimmedLog",
    "UnknownLog",
]

for _name in __all__:  # tracebacks show where users import a name from
    _value = globals()[_name]
    if hasattr(_value, "__qualname__") and _value.__module__.startswith(f"{__name__}."):
        _value.__module__ = __name__
