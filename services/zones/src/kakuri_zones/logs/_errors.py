"""Errors of the log store, by what a caller would do about them.

    LogError
    ├── UnknownLog       the zone has no log: it was never started here, or was removed
    ├── LogNameError     the id or the attempt can't name a log: correct it
    ├── LogCursorError   the text is not a cursor of this store: start without one
    └── LogStorageError  the disk failed, or a file is in the way: check the cause

Each error also derives from the closest builtin one.
"""

from kakuri_zones._errors import ZoneError


class LogError(ZoneError):
    """The base of every error that the log store raises."""


class UnknownLog(LogError, LookupError):
    """A zone has no log.

    Attributes:
        zone: The zone's id.
    """

    code = "not_found"

    def __init__(self, zone: str) -> None:
        super().__init__(f"zone {zone!r} has no log")
        self.zone = zone


class LogNameError(LogError, ValueError):
    """An id or an attempt that can't be part of a file name."""


class LogCursorError(LogError, ValueError):
    """A text that is not a cursor.

    Attributes:
        cursor: The text.
    """

    code = "bad_request"

    def __init__(self, cursor: str) -> None:
        super().__init__(f"expected a cursor from an earlier answer, got {cursor[:100]!r}")
        self.cursor = cursor


class LogStorageError(LogError, OSError):
    """A log's files could not be created, read, renamed or removed; the cause is an OSError.

    Attributes:
        zone: The zone's id.
    """

    def __init__(self, zone: str, action: str, reason: str) -> None:
        super().__init__(f"could not {action} the log of {zone!r}: {reason}")
        self.zone = zone
