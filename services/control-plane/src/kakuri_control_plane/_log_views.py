"""The JSON of a log's lines, as `GET …/log?format=ndjson` sends it.

`kakuri_control_plane._log_formats` writes these objects without an encoder, because a log may have
millions of lines.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from kakuri_daemon.api.openapi import AnyOf
from kakuri_workload import LogAttempt, LogStream, LogTime


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of a log, or a part of one.

    Attributes:
        attempt: The attempt that wrote it.
        line: The text, without its line feed; bytes that are not UTF-8 are U+FFFD.
        at: When the runtime read it; absent, as is `stream`, if the runtime did not write it.
        stream: The standard stream that it was written to.
        partial: Whether the next object of this stream and attempt continues the line.
        base64: All bytes of the line, if they are not UTF-8.
    """

    __json__: ClassVar[dict[str, Any]] = {"omit_defaults": True}

    attempt: LogAttempt
    line: str
    at: LogTime | None = None
    stream: LogStream | None = None
    partial: bool = False
    base64: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptMark:
    """The following lines are of another attempt.

    Attributes:
        type: The kind of mark.
        attempt: The attempt.
    """

    type: Literal["attempt"]
    attempt: LogAttempt


@dataclass(frozen=True, slots=True)
class GapMark:
    """Lines were removed here before they could be read.

    Attributes:
        type: The kind of mark.
    """

    type: Literal["gap"]


LOG_ENTRY = AnyOf(LogLine, AttemptMark, GapMark)
"""One line of the response."""
