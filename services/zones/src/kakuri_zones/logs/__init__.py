"""The logs that containers write: where they are, how they are read, rotated and removed.

`LogStore` is the only object that touches them. The runtime writes the files in the format of the
CRI; the store reads what the container wrote out of them.
"""

from kakuri_zones.logs._ended import EndedLogs, TrimmedLog
from kakuri_zones.logs._errors import (
    LogCursorError,
    LogError,
    LogNameError,
    LogStorageError,
    UnknownLog,
)
from kakuri_zones.logs._store import LogChunk, LogPlace, LogStore

__all__ = [
    "EndedLogs",
    "LogChunk",
    "LogCursorError",
    "LogError",
    "LogNameError",
    "LogPlace",
    "LogStorageError",
    "LogStore",
    "TrimmedLog",
    "UnknownLog",
]
