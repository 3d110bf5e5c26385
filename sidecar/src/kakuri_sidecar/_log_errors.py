"""Errors of the log store, by what a caller would do about them.

    LogError
    ├── UnknownLog       the zone has no log: it was never started here, or was removed
    ├── LogNameError     the id or the attempt can't name a log: correct it
    ├── LogCursorError   the text is no cursor of this store: start without one
    └── LogStorageError  the disk or what lies on it refused: look at the cause

Each has the nearest builtin as a second base.
"""

import copyreg
from typing import Any


class LogError(Exception):
    """The base of every error that the log store raises."""

    def __reduce__(self) -> tuple[Any, ...]:
        # copy and pickle would call the class with `args`, but it takes other arguments.
        return copyreg.__newobj__, (type(self),), {**vars(self), "args": self.args}  # type: ignore[attr-defined]


class UnknownLog(LogError, LookupError):
    """A zone has no log.

    Attributes:
        zone: the zone's id.

    """

    def __init__(self, zone: str) -> None:
        super().__init__(f"expected a zone with a log, got {zone!r}")
        self.zone = zone


class LogNameError(LogError, ValueError):
    """An id or an attempt of which no file name can be made."""


class LogCursorError(LogError, ValueError):
    """A text that is no cursor.

    Attributes:
        cursor: the text.

    """

    def __init__(self, cursor: str) -> None:
        super().__init__(f"expected a cursor as an earlier answer gave it, got {cursor[:100]!r}")
        self.cursor = cursor


class LogStorageError(LogError, OSError):
    """A log's files could not be made, read, renamed or removed; the cause is the system's error.

    Attributes:
        zone: the zone's id.

    """

    def __init__(self, zone: str, action: str, reason: str) -> None:
        super().__init__(f"expected to {action} the log of {zone!r}, but {reason}")
        self.zone = zone
